"""Talking to the Kubernetes API: configuration, reads, server-side apply, reviews, the Lease."""
