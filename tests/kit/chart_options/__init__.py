"""Each value of the chart, set to something, and what is then to be seen of it."""
