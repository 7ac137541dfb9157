"""Stochastic Moving MNIST: two digits in a box."""
