"""The consensus of named nodes: which block is decided at a height."""
