"""Registered peers, in SQLite, Redis or memory."""
