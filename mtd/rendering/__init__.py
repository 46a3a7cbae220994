"""Monte Carlo noise, rendered."""
