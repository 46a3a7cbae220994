"""Images: files, photographs, crops, noisy/clean pairs, test sets."""
