"""Secret ballots of Belenios, protocol version 1 over Ed25519: proofs, trustees, tally, archive."""
