"""Images: reading, crops, image pairs, test sets."""
