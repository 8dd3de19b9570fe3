"""Ports of ours that anybody may connect to, and how they stay open for everybody (R15)."""
