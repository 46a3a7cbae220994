"""Distributions of features under several noises."""
