"""The harness of a run, whatever it trains: options, folder, checkpoints, logs, tracking."""
