"""Errors, random streams, devices, processes, files, command lines, plug-ins."""
