"""The node itself: what the machine must have, the images, and a Kubernetes with real pods."""
