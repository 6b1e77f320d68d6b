"""The bootstrap server's core: registry, liveness."""
