"""The report: every analysis on one page."""
