"""The bootstrap server: sessions, checks, notices."""
