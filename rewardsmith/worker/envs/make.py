"""Builds n environments of a spec on the fastest path that is exact for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.contract.signal_source import parse, refs
from rewardsmith.worker.envs.base import BatchedEnv, Layout
from rewardsmith.worker.envs.catalogue import survey
from rewardsmith.worker.envs.generic import GenericEnv
from rewardsmith.worker.envs.mujoco_env import PLAIN, MujocoEnv, rules_for
from rewardsmith.worker.envs.mujoco_fields import is_field
from rewardsmith.worker.envs.open_env import open_env
from rewardsmith.worker.envs.signal_reader import select


def make(
    spec: EnvSpec, n: int, gather: Sequence[str] = (), measured: Sequence[str] = (), opened: Any = None
) -> BatchedEnv:
    """Build n environments that gather the named signals.

    Args:
        spec: the environment; its own signals are found first, then those of the derived catalogue.
        n: how many, at least 1.
        gather: names of signals; only these cost time.
        measured: what a fitness expression names: signals, or measures, which are found under no other name.
        opened: an environment of this spec that is already built, to be one of the n.

    Raises:
        TaskError: if the environment cannot be built, or a signal is unknown or cannot be read.
    """
    if n < 1:
        raise TaskError(f"n must be at least 1, not {n}")
    layout = _layout(spec, tuple(gather), tuple(measured))
    env = open_env(spec) if opened is None else opened
    rules = rules_for(env)
    if rules is None or not is_batched(layout):
        return GenericEnv(spec, n, layout, env)
    return MujocoEnv(env, rules, n, layout)


def is_batched(layout: Layout) -> bool:
    """Tell whether batched physics can gather the signals: `info` and `state` come from the environment itself."""
    fields = {ref.field for signal in layout.signals for ref in refs(parse(signal.source))}
    return all(is_field(field) or field in PLAIN for field in fields)


def _layout(spec: EnvSpec, gather: tuple[str, ...], measured: tuple[str, ...]) -> Layout:
    """Return the layout of what is gathered.

    Raises:
        TaskError: if a name is unknown; a measure is unknown to `gather`.
    """
    signals, measures = spec.signals, spec.measures
    if not {signal.name for signal in signals}.issuperset((*gather, *_beside(measured, measures))):
        found = survey(spec)
        signals, measures = found.signals, found.measures
    select(signals, gather)
    return select((*signals, *measures), (*gather, *measured))


def _beside(names: tuple[str, ...], measures: tuple[Signal, ...]) -> tuple[str, ...]:
    """Return the names that no measure has."""
    known = {measure.name for measure in measures}
    return tuple(name for name in names if name not in known)
