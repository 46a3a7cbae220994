"""Words: terminal tables, Markdown, labels of noises."""
