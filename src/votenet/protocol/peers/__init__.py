"""Which peers to find, keep, replace and ban."""
