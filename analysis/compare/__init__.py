"""Which index predicts generalization: rank correlations over many models."""
