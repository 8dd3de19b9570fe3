"""Servers: which one a destination leads to, and who has its connections."""
