"""Bouncing balls: videos of discs that collide."""
