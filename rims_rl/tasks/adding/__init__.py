"""Adding: the sum of the marked numbers of a long stream."""
