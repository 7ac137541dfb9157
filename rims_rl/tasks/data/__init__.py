"""Data of the supervised tasks: generated or shipped, seeded, in plain NumPy."""
