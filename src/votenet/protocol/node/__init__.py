"""The node's core: votes, blocks, sync, mining."""
