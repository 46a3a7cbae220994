"""What the commands share: inputs, options, run folders, progress."""
