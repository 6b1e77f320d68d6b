"""The registry and bans."""
