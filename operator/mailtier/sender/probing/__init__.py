"""Whether settings work: probes, their budget, and what is remembered of them."""
