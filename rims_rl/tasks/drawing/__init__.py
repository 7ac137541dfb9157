"""Parts that figures of videos share: rollouts, film strips, names and colours of models."""
