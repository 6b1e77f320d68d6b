"""The backup of a node in one file."""
