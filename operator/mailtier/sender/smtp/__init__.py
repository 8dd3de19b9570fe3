"""Servers and sessions with them."""
