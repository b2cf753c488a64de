"""Folders of the checkout that tests read."""

from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
TESTS = CHECKOUT / "tests"
FIXTURES = TESTS / "fixtures"
REWARDS = TESTS / "rewards"
"""Reward programs, a good one and a bad one for each task."""


def make_folder(*parts: str | Path) -> Path:
    """Return a folder, made if needed."""
    path = Path(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path
