"""What a tenant's attack on shared parts costs its neighbour: `python -m bench.shares`, or `make bench-shares`.

Everything is real and on loopback: an API server with our CRDs, the operator and the sender as processes, SMTP
servers that listen. Each scenario is played on a ground of its own: first the neighbour alone, then the same while
the attack goes on. With `--base COMMIT` the same attacks are played on the programs of that commit as well, from a
worktree in a temporary folder, in the same run: figures of two runs say little on a machine that does other things.
"""
