"""The chain and the waiting votes, in SQLite or memory."""
