"""Partial view: balls seen through small windows."""
