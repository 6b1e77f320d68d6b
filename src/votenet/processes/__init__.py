"""The supervisor: starts, watches, restarts programs."""
