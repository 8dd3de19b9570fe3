"""From a recipient that is due to an outcome that is stored."""
