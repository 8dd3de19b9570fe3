"""Two tiers of e-mail settings for multi-tenant Kubernetes, and a sender that delivers with them."""

__version__ = "0.1.0"
