"""Why each effective value is what it is."""
