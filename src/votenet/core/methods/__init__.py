"""How ballots are counted; ties and lots."""
