"""Start of the command line, settings, output."""
