"""The operator: what kopf saw becomes desired effective settings and status."""
