"""Settings of a search that trains one program of the symbolic designer for a moment."""

from __future__ import annotations

SMALL_SEARCH: dict[str, object] = {
    "search.designer": "symbolic",
    "search.population": 1,
    "search.generations": 1,
    "search.env_steps": 2_048,
    "search.final_seeds": 1,
    "search.baseline": False,
    "evaluation.episodes": 1,
    "evaluation.final_episodes": 1,
}
