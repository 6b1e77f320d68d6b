"""Commands of the trustees of an election with secret ballots."""
