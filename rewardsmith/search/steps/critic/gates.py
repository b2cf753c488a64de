"""The gates: programs that are not worth a training go back to their author.

duplicate   it pays what an earlier program pays (`signature`): its training is known, or is about to be
order       random actions earn more under it than what has already done the task (`order`)

What a gate says depends on the candidates of earlier generations and on the first proposals of the lower slots of this
one, never on who is faster: slot k waits until the slots below it have proposed, and a duplicate of one of them waits
for what comes of it. So a replayed or resumed search hears the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from rewardsmith.contract import reward_program
from rewardsmith.contract.fitness.expression import Fitness
from rewardsmith.contract.records import Brief, Candidate, Finding, Gate, Probe, Status, Verdict
from rewardsmith.llm import prompts
from rewardsmith.search.steps.critic import return_order
from rewardsmith.search.steps.critic.behaviour_signature import Bank
from rewardsmith.search.storage import Run

TRAINED: tuple[Status, ...] = ("ok", "failed", "timeout", "pruned")
"""What an earlier program must have come to, for another training of it to tell nothing."""


class Gates:
    """The gates of one search; its methods are called from the threads of the slots."""

    def __init__(self, run: Run, probe: Probe) -> None:
        """Open them.

        Args:
            run: with the settings, the probe's transitions and the recorded episodes.
            probe: what the environment offers.
        """
        self._run, self._probe, self._settings = run, probe, run.config.gates
        self._transitions = run.transitions
        self._bank = Bank(probe, self._transitions, run.config)
        self._judged: dict[str, Candidate] = {}
        self._left: set[str] = set()
        self._proposed: dict[tuple[int, int], str | None] = {}
        self._episodes: dict[str, return_order.Episodes | None] = {}
        self._changed = threading.Condition()

    def distance(self, first: str, second: str) -> float | None:
        """Return how differently two programs' texts pay; see `Bank.distance`."""
        return self._bank.distance(first, second)

    def tell(self, generation: int, slot: int, source: str | None) -> None:
        """Take note of a slot's first proposal, None if there is none; what is told later of it does not count."""
        with self._changed:
            self._proposed.setdefault((generation, slot), source)
            self._changed.notify_all()

    def learn(self, candidate: Candidate) -> None:
        """Take note of what came of a candidate."""
        with self._changed:
            self._judged[candidate.id] = candidate
            self._changed.notify_all()

    def leave(self, id: str) -> None:
        """Take note that nothing more will come of a candidate, whether or not something has."""
        with self._changed:
            self._left.add(id)
            self._changed.notify_all()

    def inherited(self, duplicate: Candidate, twin: str) -> float | None:
        """Return the fitness that a duplicate takes over, once its twin is judged.

        A twin of the same generation may have been mended since it was compared: then it is none any more.

        Args:
            duplicate: the candidate.
            twin: id of the candidate that it pays the same as.

        Raises:
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
            WorkerFailed: if the reward process fails for another reason than the program.
        """
        beside = twin in {f"g{duplicate.generation}c{lower:02d}" for lower in range(duplicate.slot)}
        with self._changed:
            self._changed.wait_for(lambda: not beside or twin in self._judged or twin in self._left)
            known = self._judged.get(twin)
        if known is None or (beside and not self._same(duplicate.proposal.source, known.proposal.source)[0]):
            return None
        return known.fitness

    def judge(self, brief: Brief, slot: int, source: str, verdict: Verdict) -> Verdict:
        """Return the verdict on a program that the checks accepted, with what the gates say.

        Raises:
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
            WorkerFailed: if the reward process fails for another reason than the program.
            OSError: if a recording cannot be read.
        """
        refused = self._duplicate(brief, slot, source) if self._settings.duplicates else None
        if refused is None and self._settings.order:
            refused = self._order(brief, source)
        if refused is None:
            return verdict
        finding, gate = refused
        return replace(verdict, accepted=False, findings=(*verdict.findings, finding), gate=gate)

    def twin(self, id: str) -> Candidate | None:
        """Return the judged candidate of this id; None while there is none."""
        with self._changed:
            return self._judged.get(id)

    def _duplicate(self, brief: Brief, slot: int, source: str) -> tuple[Finding, Gate] | None:
        for id, text in (*self._earlier(brief.generation), *self._lower(brief.generation, slot)):
            same, far = self._same(source, text)
            if same:
                return self._finding(id, brief.generation), Gate("duplicate", self._steps, id, far)
        return None

    def _same(self, first: str, second: str) -> tuple[bool, float | None]:
        """Return whether two programs' texts pay the same, and how far they are apart."""
        far = 0.0 if first == second else self._bank.distance(first, second)
        return far is not None and far <= self._settings.tolerance, far

    def _finding(self, id: str, generation: int) -> Finding:
        """Say what a program of a generation is a duplicate of; what is still being trained has no fitness yet."""
        twin = self.twin(id)
        twin = twin if twin and twin.generation < generation else None
        known = f", whose fitness is {prompts.figure(twin.fitness)}" if twin and twin.fitness is not None else ""
        words = "up to a positive factor" if self._settings.same == "affine" else "up to potential shaping and a factor"
        message = f"it pays the same as {id}{known}, {words}: its training would tell nothing new"
        return Finding("duplicate", f"{message}; write a program that prefers other behaviour")

    def _earlier(self, generation: int) -> list[tuple[str, str]]:
        """Return the trained programs of earlier generations, oldest first."""
        with self._changed:
            known = [one for one in self._judged.values() if one.generation < generation and one.status in TRAINED]
        known.sort(key=lambda one: (one.generation, one.slot))
        return [(one.id, one.proposal.source) for one in known]

    def _lower(self, generation: int, slot: int) -> Iterator[tuple[str, str]]:
        """Return what the lower slots of a generation proposed first, as soon as they all have."""
        keys = [(generation, lower) for lower in range(slot)]
        with self._changed:
            self._changed.wait_for(lambda: all(key in self._proposed for key in keys))
            texts = [self._proposed[key] for key in keys]
        return ((f"g{generation}c{lower:02d}", text) for (_, lower), text in zip(keys, texts, strict=True) if text)

    def _order(self, brief: Brief, source: str) -> tuple[Finding, Gate] | None:
        episodes = self._best_episodes(brief.incumbent)
        if episodes is None:
            return None
        gamma, limits = self._run.config.training.gamma, self._run.config.sandbox
        found = return_order.screen(
            reward_program.parse(source), self._probe, self._transitions, episodes, gamma, limits
        )
        if found is None or not found.wrong:
            return None
        message = (
            f"in {episodes.horizon} steps random actions earn {prompts.figure(found.random)} under it, and the "
            f"successful episodes of {brief.incumbent} only {prompts.figure(found.success)} (medians, discounted)"
        )
        return Finding(
            "order", f"{message}; reward what {brief.incumbent} does well above doing nothing in particular"
        ), Gate("order", self._steps)

    def _best_episodes(self, incumbent: str | None) -> return_order.Episodes | None:
        best = self.twin(incumbent) if incumbent else None
        if best is None:
            return None
        with self._changed:
            if best.id not in self._episodes:
                home = self._run.path / "candidates" / best.id
                folders = [home / f"eval-s{training.seed}" for training in best.trainings]
                self._episodes[best.id] = return_order.find(
                    Fitness.parse(self._run.task.fitness), self._transitions, folders
                )
            return self._episodes[best.id]

    @property
    def _steps(self) -> int:
        """Environment steps of one candidate's trainings."""
        return self._run.config.search.seeds * self._run.config.search.env_steps
