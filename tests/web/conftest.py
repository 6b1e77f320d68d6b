"""Fixtures of a real browser, for the tests of pages."""

from web.browser import chromium, page, visit, watch

__all__ = ["chromium", "page", "visit", "watch"]
