"""The panel of a search: what each generation hears of people, who ranks its programs, and when the search waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rewardsmith.contract.records import Candidate
from rewardsmith.search.feedback import ranking
from rewardsmith.search.feedback import state as events
from rewardsmith.search.feedback.events import State
from rewardsmith.search.storage import Journal, Run

WAITS = "it waits for people"
"""How the reason of a search begins that ended for want of comparisons."""


class Panel:
    """People and the judge, as one search meets them."""

    def __init__(self, run: Run, journal: Journal, judge: Callable[[int, Sequence[Candidate]], None] | None) -> None:
        """Take the run.

        Args:
            run: with the settings.
            journal: which holds what was said.
            judge: compares the candidates so far after a generation, and keeps its answers in the journal; None where
                no model judges.
        """
        self._journal, self._judge = journal, judge
        self._settings, self._planned = run.config.feedback, run.config.search.generations
        self._until = events.of(tuple(journal)).until or 0
        self._path = run.path

    @property
    def generations(self) -> int:
        """How many generations there are: as planned, or as many as were asked for since."""
        return max(self._planned, self._until)

    def asked(self, generation: int) -> bool:
        """Return whether somebody asked for this generation, whatever the search had come to."""
        return generation < self._until

    def hear(self, generation: int) -> State:
        """Return what a generation hears."""
        return events.heard(tuple(self._journal), generation)

    def rank(self, history: Sequence[Candidate], generation: int) -> list[Candidate]:
        """Return the candidates so far as this generation ranks them; the judge looks at them first."""
        heard = self.hear(generation)
        settings = heard.settings(self._settings)
        if self._judge and history and settings.rank == "judge":
            self._judge(generation - 1, history)
            heard = self.hear(generation)
        return ranking.apply(history, heard, settings)

    def waits(self, history: Sequence[Candidate], generation: int) -> str | None:
        """Return why the search waits for people before this generation; None if it does not.

        It waits where people rank and have said nothing yet about any program of the generation before, unless this
        one was asked for all the same.
        """
        heard, known = self.hear(generation), ranking.rankable(history)
        last = {one.id for one in known if one.generation == generation - 1}
        if heard.settings(self._settings).rank != "people" or self.asked(generation) or not last:
            return None
        if len(known) < 2 or ranking.compared(known, heard.preferences) & last:
            return None
        return (
            f"{WAITS}: nobody has compared a program of generation g{generation - 1} yet; "
            f"`rewardsmith refine {self._path}` asks, `rewardsmith resume {self._path}` goes on"
        )
