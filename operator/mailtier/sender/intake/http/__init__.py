"""The way in over HTTPS."""
