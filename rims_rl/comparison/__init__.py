"""Compares stored runs of agents, ours and others': which is better, and how sure is that."""
