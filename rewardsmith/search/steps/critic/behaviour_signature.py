"""A program's signature: what it pays on a fixed bank of transitions; programs are compared by it.

The bank has two parts: the transitions that the probe recorded under random actions, and the same with their signals
stretched away from their means. No policy need ever reach those: two programs that differ only where a good policy
goes, `min(speed, 3)` and `min(speed, 5)` for instance, would be one on random actions alone.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from rewardsmith.contract import reward_program
from rewardsmith.contract.errors import ProgramError, RewardFailed
from rewardsmith.contract.records import Probe
from rewardsmith.contract.reward_program import STATES, Array, Transitions
from rewardsmith.sandbox import open_process, recorded
from rewardsmith.sandbox.recorded import Recording
from rewardsmith.search.steps.critic import starc
from rewardsmith.spec.config import Config

STRETCH = 10.0
"""Greatest factor by which a signal's distance from its mean is stretched; factors are log-uniform from 1."""
FEATURES = 8
"""Transitions per feature of a potential, at least: more features would explain anything."""
Signature = tuple[Array, Array]
"""(n,) each: what a program pays on the transitions as recorded, and on the stretched ones."""


class Bank:
    """The transitions of one search on which its programs are compared; safe to use from several threads."""

    def __init__(self, probe: Probe, path: Path, config: Config) -> None:
        """Take the recording; it is read when the first program is compared.

        Args:
            probe: the catalogue, and the environment's time limit.
            path: the .npz that the probe recorded.
            config: of the search: what makes no difference, the discount factor, the limits of the reward process.
        """
        self._probe, self._path, self._config = probe, path, config
        self._known: dict[str, Signature | None] = {}
        self._standard: dict[str, Signature] = {}
        self._potentials: dict[float, tuple[Array, Array]] = {}
        self._lock = threading.Lock()

    def distance(self, first: str, second: str) -> float | None:
        """Return how differently two programs pay, in [0, 1]: 0 for the same, 1 for the opposite.

        A positive factor makes no difference, unless the training keeps the scale of rewards; nor does what
        `gates.same` names.

        Args:
            first: a program's text.
            second: another's.

        Returns:
            The STARC distance, the greater of the bank's two parts; None where a program has no signature.

        Raises:
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
            WorkerFailed: if the reward process fails for another reason than the program.
        """
        one, two = self._standard_of(first), self._standard_of(second)
        if one is None or two is None:
            return None
        return max(self._apart(a, b) for a, b in zip(one, two, strict=True))

    def signature(self, source: str) -> Signature | None:
        """Return what a program pays on the bank; see `distance` for what it raises.

        Returns:
            None where the program fails on a part of the bank, is not finite there, or pays the same for everything:
            nothing can be said of it then.
        """
        with self._lock:
            if source not in self._known:
                self._known[source] = self._score(source)
            return self._known[source]

    def _score(self, source: str) -> Signature | None:
        try:
            parsed = reward_program.parse(source)
            if not set(parsed.signals) <= {signal.name for signal in self._probe.signals}:
                return None  # another slot's first attempt, which its own checks refuse
            recording = recorded.probe(self._path, parsed)
            parts = (recording, stretched(recording, self._centres(parsed.signals)))
            with open_process(parsed, recorded.layout(self._probe), self._config.sandbox) as process:
                totals = [recorded.score(process, part).total for part in parts]
        except (ProgramError, RewardFailed):
            return None
        if any(np.ptp(total) <= 1e-12 * np.abs(total).max() for total in totals):
            return None
        return totals[0], totals[1]

    def _standard_of(self, source: str) -> Signature | None:
        """Return the signature without what makes no difference."""
        signature = self.signature(source)
        if signature is None:
            return None
        with self._lock:
            if source not in self._standard:
                plain, wide = signature
                self._standard[source] = self._standardised(plain, 1.0), self._standardised(wide, STRETCH)
            return self._standard[source]

    def _standardised(self, total: Array, stretch: float) -> Array:
        if self._config.gates.same == "shaping":
            if stretch not in self._potentials:
                self._potentials[stretch] = self._features(stretch)
            kept = starc.canonical(total, *self._potentials[stretch], self._config.training.gamma)
        else:
            kept = total - total.mean() if self._never_ends else total
        return starc.normalised(kept, float(np.linalg.norm(total))) if self._config.training.normalize_reward else kept

    def _apart(self, first: Array, second: Array) -> float:
        """Compare two standard forms; relative to the greater one where the training sees their scale."""
        if self._config.training.normalize_reward:
            return starc.distance(first, second)
        most = max(float(np.linalg.norm(first)), float(np.linalg.norm(second)))
        return starc.distance(first / most, second / most) if most else 0.0

    @property
    def _never_ends(self) -> bool:
        """Whether no recorded episode ended by the environment's rule, so that a constant makes no difference."""
        return not recorded.terminated(self._path).any()

    def _centres(self, names: Iterable[str]) -> dict[str, Array]:
        """Return the means of signals over the recording."""
        with np.load(self._path, allow_pickle=False) as arrays:
            return {name: np.asarray(arrays[f"after/{name}"].mean(axis=0)) for name in names}

    def _features(self, stretch: float) -> tuple[Array, Array]:
        """Return what potentials are made of, before and after, (n, p): 1, each signal's components, their squares."""
        centres = self._centres(signal.name for signal in self._probe.signals)
        before, after = (self._columns(state, centres, stretch) for state in ("before", "after"))
        scale = after.std(axis=0)
        kept = np.flatnonzero(scale > 1e-9)[: len(after) // (2 * FEATURES)]
        before, after = before[:, kept] / scale[kept], after[:, kept] / scale[kept]
        one, going = np.ones((len(before), 1)), 1.0 - recorded.terminated(self._path)[:, None]
        return np.hstack([one, before, before**2]), going * np.hstack([one, after, after**2])

    def _columns(self, state: str, centres: Mapping[str, Array], stretch: float) -> Array:
        """Return every signal's components about their means, stretched, (n, components)."""
        with np.load(self._path, allow_pickle=False) as arrays:
            moved = [
                widen(name, arrays[f"{state}/{name}"], centre, stretch) - centre for name, centre in centres.items()
            ]
        return np.concatenate([values.reshape(len(values), -1) for values in moved], axis=1)


def stretched(recording: Recording, centres: Mapping[str, Array]) -> Recording:
    """Return the recording with every signal stretched away from its centre."""
    moved = {
        state: {name: widen(name, values, centres[name], STRETCH) for name, values in signals.items()}
        for state in STATES
        for signals in (getattr(recording.transitions, state),)
    }
    return replace(recording, transitions=Transitions(recording.transitions.action, **moved))


def widen(name: str, values: Array, centre: Array, most: float) -> Array:
    """Return a signal's values (n, *shape) stretched away from `centre` by factors from 1 to `most`.

    The factors depend on the signal's name alone: they are the same before and after, and for every program.
    """
    draws = np.random.default_rng(zlib.crc32(name.encode())).random(len(values))
    factors = (most**draws).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(centre + factors * (values - centre))
