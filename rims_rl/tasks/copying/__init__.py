"""Copying: digits to reproduce after a blank span."""
