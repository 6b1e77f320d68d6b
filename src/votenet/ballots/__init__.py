"""Ballots and lists from files, without any I/O: bytes in, ballots and a report out."""
