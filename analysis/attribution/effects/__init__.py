"""Causal effect maps: by how much a window's PSNR falls where a block of the input is replaced.

`python -m analysis.attribution --map cem` is the command, `analysis.attribution.causal_effects` the
Python function; `analysis.attribution.effects.effects` has the formulas.
"""
