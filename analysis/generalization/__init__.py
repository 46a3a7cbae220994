"""The generalization benchmark: image quality over noise types and levels."""
