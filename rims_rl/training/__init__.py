"""Reinforcement learning on the harness of runs: options, building, recording, evaluation."""
