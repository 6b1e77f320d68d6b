"""Instruments: load generator, demo, chaos."""
