"""How trustees make the key of an election together, and show that they can decrypt."""
