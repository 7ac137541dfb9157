"""All that the project publishes: the paper's figures and its own comparisons, each by name."""
