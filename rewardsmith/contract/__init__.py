"""What all three kinds of process share: records, errors, the reward contract and the fitness language."""
