"""Starting, stopping and watching networks and nodes."""
