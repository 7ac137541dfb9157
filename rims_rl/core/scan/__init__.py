"""The fast paths: a whole scan over time as one operation, by one of several kernels."""
