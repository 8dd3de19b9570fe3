"""Benches: our figure beside a peer's or the physical limit, in the same run."""
