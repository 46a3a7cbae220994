"""Looking inside denoisers: activations, CKA, figures. Commands are `python -m analysis.NAME`."""
