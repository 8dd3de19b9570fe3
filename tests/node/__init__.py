"""Mailtier on a real node: its image in pods, installed by its chart, upgraded, moved and mended while mail flows."""
