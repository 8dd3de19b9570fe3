"""Connections: names looked up, TLS, and what is shared of both."""
