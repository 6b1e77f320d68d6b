"""Database, keys, files that commands read or write."""
