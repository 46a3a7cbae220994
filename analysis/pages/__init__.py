"""Notebooks and self-contained pages."""
