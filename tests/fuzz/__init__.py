"""Fuzzing: invented inputs for everything in votenet that reads foreign bytes."""
