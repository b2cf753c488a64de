"""Folders of the checkout that tests read."""

from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
TESTS = CHECKOUT / "tests"
FIXTURES = TESTS / "fixtures"
REWARDS = TESTS / "rewards"
"""Reward programs, a good one and a bad one for each task."""
