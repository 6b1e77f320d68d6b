"""Sockets, name resolution, clients."""
