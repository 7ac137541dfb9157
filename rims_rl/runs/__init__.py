"""The harness of a training run, whatever is trained: options, folder, checkpoints, logs, tracking."""
