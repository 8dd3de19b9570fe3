"""What people and machines see of a running process: logs, metrics, health."""
