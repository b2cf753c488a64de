"""Behavioural signatures of reward programs: what each pays on fixed transitions, so that programs can be compared.

The transitions have two parts: those that the probe recorded under random actions, and the same with their signals
stretched away from their means. No policy need ever reach the stretched ones. Without them, two programs that differ
only where a good policy goes, `min(speed, 3)` and `min(speed, 5)` for instance, would look equal.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rewardsmith.contract import reward_program
from rewardsmith.contract.errors import ProgramError, RewardFailed
from rewardsmith.contract.records import Limits, Probe
from rewardsmith.contract.reward_program import STATES, Array, Transitions
from rewardsmith.sandbox import open_process
from rewardsmith.sandbox.recorded import TransitionFile
from rewardsmith.sandbox.recorded_scores import RecordedTransitions, build_layout, score_recording
from rewardsmith.search.steps.critic import starc
from rewardsmith.search.storage import Run

STRETCH = 10.0
"""Greatest factor by which a signal's distance from its mean is stretched; factors are log-uniform from 1."""
STRETCHED_ENDS = 0.05
"""Share of the stretched transitions that count as an episode's end for a program that takes `terminated`: a good
policy may end episodes where random actions never do, by reaching a goal for instance."""
TRANSITIONS_PER_FEATURE = 8
"""Least number of transitions for each feature of a potential: more features would explain any reward."""

Signature = tuple[Array, Array]
"""(n,) each: what a program pays on the transitions as recorded, and on the stretched ones."""


@dataclass(frozen=True)
class Equivalence:
    """The differences between two rewards that count as no difference."""

    gamma: float
    """Discount factor of the training, in [0, 1]."""
    ignore_scale: bool = True
    """A positive factor makes no difference, as where the training normalizes rewards."""
    ignore_shaping: bool = False
    """Potential shaping makes no difference. It leaves the best policy as it is, but not how fast it is learnt."""


class BehaviourDistance:
    """Measures how differently programs pay on fixed transitions; safe to use from several threads."""

    def __init__(self, probe: Probe, path: Path, limits: Limits, equivalence: Equivalence) -> None:
        """Take the recording; it is read when the first program is compared.

        Args:
            probe: the catalogue, and the environment's time limit.
            path: the .npz that the probe recorded.
            limits: of the reward process.
            equivalence: which differences do not count.
        """
        self._probe, self._path, self._limits, self._equivalence = probe, path, limits, equivalence
        self._signatures: dict[str, Signature | None] = {}
        self._standardized: dict[str, Signature] = {}
        self._potentials: dict[float, tuple[Array, Array]] = {}
        self._lock = threading.Lock()

    @classmethod
    def for_run(cls, run: Run, probe: Probe) -> BehaviourDistance:
        """Compare programs as the trainings of a search see them, on the transitions that its probe recorded."""
        training = run.config.training
        return cls(
            probe,
            run.transitions,
            run.config.sandbox,
            Equivalence(training.gamma, ignore_scale=training.normalize_reward),
        )

    def __call__(self, first: str, second: str) -> float | None:
        """Return how differently two programs pay, in [0, 1]: 0 for the same, 1 for the opposite.

        A constant makes no difference either where no recorded episode ended by the environment's rule.

        Args:
            first: a program's text.
            second: another's.

        Returns:
            The STARC distance, the greater of the two parts; None where a program has no signature.

        Raises:
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
            WorkerFailed: if the reward process fails for another reason than the program.
        """
        first_standard, second_standard = self._standard_signature(first), self._standard_signature(second)
        if first_standard is None or second_standard is None:
            return None
        return max(self._part_distance(a, b) for a, b in zip(first_standard, second_standard, strict=True))

    def compute_signature(self, source: str) -> Signature | None:
        """Return what a program pays on the transitions; see `__call__` for what it raises.

        Returns:
            None where the program fails on a part of them, is not finite there, or pays the same for everything:
            such a program cannot be compared.
        """
        with self._lock:
            if source not in self._signatures:
                self._signatures[source] = self._score_program(source)
            return self._signatures[source]

    def _score_program(self, source: str) -> Signature | None:
        """Score a program on both parts of the transitions."""
        try:
            program = reward_program.parse_program(source)
            if not set(program.signals) <= {signal.name for signal in self._probe.signals}:
                return None
            recording = TransitionFile(self._path).read(program)
            parts = (recording, stretch_recording(recording, self._signal_means(program.signals)))
            with open_process(program, build_layout(self._probe), self._limits) as process:
                totals = [score_recording(process, part).total for part in parts]
        except (ProgramError, RewardFailed):
            return None
        if any(np.ptp(total) <= 1e-12 * np.abs(total).max() for total in totals):
            return None
        return totals[0], totals[1]

    def _standard_signature(self, source: str) -> Signature | None:
        """Return the signature without the differences that do not count."""
        signature = self.compute_signature(source)
        if signature is None:
            return None
        with self._lock:
            if source not in self._standardized:
                plain, wide = signature
                self._standardized[source] = (
                    self._standardize_rewards(plain, 1.0),
                    self._standardize_rewards(wide, STRETCH),
                )
            return self._standardized[source]

    def _standardize_rewards(self, total: Array, stretch: float) -> Array:
        """Take out of one part's rewards, (n,), what does not count: shaping or a constant, then the scale."""
        if self._equivalence.ignore_shaping:
            if stretch not in self._potentials:
                self._potentials[stretch] = self._potential_features(stretch)
            before, after = self._potentials[stretch]
            remainder = starc.canonicalize_reward(total, before, after, self._equivalence.gamma)
        else:
            remainder = total - total.mean() if self._never_terminates else total
        if self._equivalence.ignore_scale:
            return starc.normalize_reward(remainder, float(np.linalg.norm(total)))
        return remainder

    def _part_distance(self, first: Array, second: Array) -> float:
        """Compare two standard forms; relative to the greater one where the scale counts."""
        if self._equivalence.ignore_scale:
            return starc.measure_distance(first, second)
        greater_norm = max(float(np.linalg.norm(first)), float(np.linalg.norm(second)))
        return starc.measure_distance(first / greater_norm, second / greater_norm) if greater_norm else 0.0

    @property
    def _never_terminates(self) -> bool:
        """Whether no recorded episode ended by the environment's rule, so that a constant makes no difference."""
        return not TransitionFile(self._path).read_terminated().any()

    def _signal_means(self, names: Iterable[str]) -> dict[str, Array]:
        """Return the means of signals over the recording."""
        signals = TransitionFile(self._path).read_signals("after", names)
        return {name: np.asarray(values.mean(axis=0)) for name, values in signals.items()}

    def _potential_features(self, stretch: float) -> tuple[Array, Array]:
        """Return the features of potentials, before and after, (n, p): 1, each signal's components, their squares."""
        means = self._signal_means(signal.name for signal in self._probe.signals)
        before, after = (self._centred_columns(state, means, stretch) for state in ("before", "after"))

        # Drop constant components, and as many as the number of transitions cannot support.
        scale = after.std(axis=0)
        kept = np.flatnonzero(scale > 1e-9)[: len(after) // (2 * TRANSITIONS_PER_FEATURE)]
        before, after = before[:, kept] / scale[kept], after[:, kept] / scale[kept]

        # The potential after the last step of an episode is 0.
        ones, continues = np.ones((len(before), 1)), 1.0 - TransitionFile(self._path).read_terminated()[:, None]
        return np.hstack([ones, before, before**2]), continues * np.hstack([ones, after, after**2])

    def _centred_columns(self, state: str, means: Mapping[str, Array], stretch: float) -> Array:
        """Return every signal's components about their means, stretched, (n, components)."""
        columns: list[Array] = []
        for name, recorded_values in TransitionFile(self._path).read_signals(state, means).items():
            values = stretch_signal(name, recorded_values, means[name], stretch) - means[name]
            columns.append(values.reshape(len(values), -1))
        return np.concatenate(columns, axis=1)


def stretch_recording(recording: RecordedTransitions, centres: Mapping[str, Array]) -> RecordedTransitions:
    """Return the recording with every signal stretched away from its centre, and with more ends of episodes."""
    states: dict[str, dict[str, Array]] = {}
    for state in STATES:
        signals: Mapping[str, Array] = getattr(recording.transitions, state)
        states[state] = {name: stretch_signal(name, values, centres[name], STRETCH) for name, values in signals.items()}
    terminated = recording.transitions.terminated
    if terminated is not None:
        draws = np.random.default_rng(zlib.crc32(b"terminated")).random(len(terminated))
        terminated = terminated | (draws < STRETCHED_ENDS)
    stretched = Transitions(recording.transitions.action, **states, terminated=terminated)
    return replace(recording, transitions=stretched)


def stretch_signal(name: str, values: Array, centre: Array, greatest: float) -> Array:
    """Return a signal's values (n, *shape) stretched away from `centre` by factors from 1 to `greatest`.

    The factors depend on the signal's name alone: they are the same before and after, and for every program.
    """
    draws = np.random.default_rng(zlib.crc32(name.encode())).random(len(values))
    factors = (greatest**draws).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(centre + factors * (values - centre))
