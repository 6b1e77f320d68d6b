"""Receipts, archives, strict reading of records."""
