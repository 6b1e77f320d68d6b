"""Casting a vote, receipts, keys."""
