"""Settings with a second server."""

import dataclasses

from mailtier.settings import effective


def with_fallback(
    of: effective.Effective, at: effective.Endpoint, *, auth: effective.Auth | None = None
) -> effective.Effective:
    """Return settings with a fallback, which is logged in to as the first server is unless it is said how."""
    assert of.auth is not None
    there = effective.FallbackServer(endpoint=at, auth=auth or of.auth, delivery=of.delivery)
    return dataclasses.replace(of, fallback=there)
