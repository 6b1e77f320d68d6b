"""Exporting, auditing and importing a chain."""
