"""Service around the node's core: links, miner, peers."""
