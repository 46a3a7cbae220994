"""Centered kernel alignment: layers compared across models and across noises."""
