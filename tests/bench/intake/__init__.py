"""The intake's bench: what a request costs there, beside an HTTP server written in Rust, on both event loops.

`python -m bench.intake` plays it; `docs/explanation/performance.md` says what its columns mean.
"""
