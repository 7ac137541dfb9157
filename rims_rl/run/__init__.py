"""Training runs: options, folders, checkpoints, tracking and evaluation."""
