"""Mail providers as data: one file for each, every fact with the page and the day it was read."""
