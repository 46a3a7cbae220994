"""One pass: crops, noise, networks with hooks, observers."""
