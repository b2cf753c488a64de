"""Feedback as one search uses it: the input of each generation, who ranks its programs, and when the search waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rewardsmith.contract.records import Candidate
from rewardsmith.search.feedback import ranking
from rewardsmith.search.feedback.events import FeedbackState
from rewardsmith.search.feedback.state import build_state, state_before
from rewardsmith.search.storage import Journal, Run

WAITING_PREFIX = "waiting for comparisons"
"""Beginning of the reason of a search that ended because nobody has compared its programs."""
_WAITING_PREFIXES = (WAITING_PREFIX, "it waits for people")
"""The second is written in runs of earlier versions."""


def is_waiting_reason(stopped: str | None) -> bool:
    """Return whether a result's `stopped` says that the search waits for comparisons by people."""
    return stopped is not None and stopped.startswith(_WAITING_PREFIXES)


class SearchFeedback:
    """Gives one search the feedback of people and, where a model judges, its comparisons."""

    def __init__(self, run: Run, journal: Journal, judge: Callable[[int, Sequence[Candidate]], None] | None) -> None:
        """Read how many generations people asked for.

        Args:
            run: the run, for its settings.
            journal: the run's journal, which holds the feedback.
            judge: compares the candidates so far after a generation, and keeps its answers in the journal; None where
                no model judges.
        """
        self._journal, self._judge = journal, judge
        self._settings, self._planned_generations = run.config.feedback, run.config.search.generations
        self._requested_generations = build_state(tuple(journal)).target_generations or 0
        self._run_path = run.path

    @property
    def generations(self) -> int:
        """Number of generations: as planned, or more where people asked for more."""
        return max(self._planned_generations, self._requested_generations)

    def was_requested(self, generation: int) -> bool:
        """Return whether a person asked for this generation; it then runs even if a target was reached."""
        return generation < self._requested_generations

    def state_at(self, generation: int) -> FeedbackState:
        """Return the feedback that a generation uses."""
        return state_before(tuple(self._journal), generation)

    def rank_candidates(self, history: Sequence[Candidate], generation: int) -> list[Candidate]:
        """Return the candidates so far with their standing for this generation, after the judge has compared them."""
        state = self.state_at(generation)
        settings = state.effective_settings(self._settings)

        if self._judge and history and settings.rank == "judge":
            self._judge(generation - 1, history)
            state = self.state_at(generation)

        return ranking.assign_standings(history, state, settings)

    def blocked_reason(self, history: Sequence[Candidate], generation: int) -> str | None:
        """Return why the search waits for people before this generation; None if it does not wait.

        It waits if people rank, nobody has compared a program of the previous generation yet, and nobody has asked for
        this generation explicitly.
        """
        state = self.state_at(generation)
        if state.effective_settings(self._settings).rank != "people" or self.was_requested(generation):
            return None

        # With fewer than two trained programs, or none in the last generation, there is nothing to compare.
        rankable = ranking.select_rankable(history)
        last_ids = {candidate.id for candidate in rankable if candidate.generation == generation - 1}
        if len(rankable) < 2 or not last_ids:
            return None

        if ranking.find_compared_ids(rankable, state.preferences) & last_ids:
            return None
        return (
            f"{WAITING_PREFIX}: nobody has compared a program of generation {generation - 1} yet; "
            f"compare with `rewardsmith refine {self._run_path}`, then continue with "
            f"`rewardsmith resume {self._run_path}`"
        )
