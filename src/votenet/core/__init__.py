"""Canonical JSON, keys, limits, texts."""
