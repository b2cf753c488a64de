"""Training of policies with generated rewards."""
