"""The bench of fairness: what dead servers, long queues and a relay's limits cost organizations that share a sender.

`python -m bench.fairness` plays it; `docs/explanation/performance.md` says what its columns mean.
"""
