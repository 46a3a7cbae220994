"""SRGA, a generalization score computed from deep features."""
