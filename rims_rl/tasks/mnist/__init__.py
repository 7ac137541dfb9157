"""Sequential MNIST: digits read pixel by pixel."""
