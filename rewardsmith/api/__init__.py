"""The functions behind the commands: searches, comparisons, baselines and sweeps."""
