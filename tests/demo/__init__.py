"""The demo: from kubectl apply to a delivered mail, on real parts, with every claim checked on the way."""
