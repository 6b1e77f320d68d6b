"""Lines, messages, handshake, limits of a link."""
