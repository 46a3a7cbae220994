"""Statistics: intervals, tests, correlations, distributions."""
