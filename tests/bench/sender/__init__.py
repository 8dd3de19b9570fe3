"""The sender's bench: the whole way from a request to a recorded end, its latency, delivery alone, and the transport.

`python -m bench.sender` plays it; `docs/explanation/performance.md` says what its columns mean.
"""
