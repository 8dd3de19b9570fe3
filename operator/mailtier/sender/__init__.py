"""The sender: intake, durable queue, delivery, probes."""
