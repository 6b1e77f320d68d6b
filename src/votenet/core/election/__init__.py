"""An election's definition; the roll of voters."""
