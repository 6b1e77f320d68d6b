"""The Merkle log of an election and its proofs, in the formats of C2SP."""
