"""Figures 11 to 15 of the paper, of models of your own."""
