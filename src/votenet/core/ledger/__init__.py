"""Votes, blocks, the chain, the difficulty, the pool."""
