"""Local attribution maps: which input pixels decide a patch of the output."""
