"""The fitness language: expressions over an episode, their bounds, and auxiliary metrics."""
