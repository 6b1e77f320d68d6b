"""Demo, chaos, replay."""
