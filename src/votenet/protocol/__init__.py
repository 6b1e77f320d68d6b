"""Answers to the reference client and node."""
