"""The objects in files, as the world that they make."""
