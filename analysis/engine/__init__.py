"""One pass over networks, noises and crops that feeds any number of observers."""
