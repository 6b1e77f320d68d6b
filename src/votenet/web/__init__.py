"""The page on which members vote, watch and check: a program of its own, a client of several nodes."""
