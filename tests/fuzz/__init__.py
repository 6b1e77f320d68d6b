"""Fuzzing: inputs nobody wrote by hand, for everything in votenet that reads what somebody else wrote.

What lives here: an engine (`engine.py`, `mutations.py`, `coverage.py`), the targets (`conversations.py`,
`records.py`, `files.py`, `archives.py`, `stores.py`), inputs that once broke something (`corpus/`), and
the command `python -m fuzz` (`__main__.py`). What must not: tests of one module (they are beside it).
docs/testing.md tells how to run it and what to do with a finding.
"""
