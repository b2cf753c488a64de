"""Claims about recorded episodes, in a form that can be checked: a signal, an episode, steps, a comparison, a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rewardsmith.contract.reward_program import Array
from rewardsmith.llm.structured_output import AnswerForm
from rewardsmith.search.steps.analyzer.episode_selection import ScoredEpisode

ROUNDED = 0.01
"""Relative slack of a comparison: the reader sees three digits."""
Comparison = Literal[
    "all_above", "all_below", "some_above", "some_below", "mean_above", "mean_below", "rises_by", "falls_by"
]


class Claim(AnswerForm):
    """A statement about a recorded episode, which a cause rests on."""

    episode: str
    signal: str
    steps: Annotated[list[int], Field(min_length=2, max_length=2)]
    """First and last step, both included."""
    comparison: Comparison
    value: Annotated[float, Field(allow_inf_nan=False)]


def refute_claim(claim: Claim, episodes: Mapping[str, ScoredEpisode]) -> str | None:
    """Return why a claim does not hold; None where it does.

    Args:
        claim: what was said.
        episodes: name to episode.
    """
    scored = episodes.get(claim.episode)
    if scored is None:
        return f"there is no episode {claim.episode!r}"
    first, last = claim.steps
    if not 0 <= first <= last <= scored.episode.length:
        return f"{claim.episode} has steps 0 to {scored.episode.length}, not {first} to {last}"
    if claim.signal in scored.signals:
        values = scored.signals[claim.signal][first : last + 1]
    elif claim.signal in scored.paid:
        values = scored.paid[claim.signal][max(first - 1, 0) : last]  # step 0 has no reward
    else:
        return f"there is no signal {claim.signal!r}"
    if not len(values):
        return f"{claim.signal} has no value at step 0"
    return None if _claim_holds(claim.comparison, values, claim.value) else "the data say otherwise"


def _claim_holds(comparison: Comparison, values: Array, value: float) -> bool:
    slack = ROUNDED * abs(value) + 1e-9
    margins = {
        "all_above": values.min() - value,
        "some_above": values.max() - value,
        "mean_above": values.mean() - value,
        "rises_by": values[-1] - values[0] - value,
        "all_below": value - values.max(),
        "some_below": value - values.min(),
        "mean_below": value - values.mean(),
        "falls_by": values[0] - values[-1] - value,
    }
    return bool(np.isfinite(margins[comparison]) and margins[comparison] >= -slack)
