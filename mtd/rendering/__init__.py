"""Noisy and converged images of the same scenes, rendered by path tracing."""
