"""Making an election, its roll, its results."""
