"""What the host's policy and the schema forbid: a function for each violation; `settings.policy` has their order."""
