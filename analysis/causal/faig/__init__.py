"""Filter attribution integrated gradients between a network and a twin of the same architecture.

`python -m analysis.causal.faig BASELINE TWIN` is the command,
`analysis.causal.discriminative_filters` the Python function; `analysis.causal.faig.attribution` has
the formulas.
"""
