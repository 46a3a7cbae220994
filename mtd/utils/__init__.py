"""Errors, random streams, devices, processes, files."""
