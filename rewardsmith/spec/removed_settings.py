"""Settings that earlier versions had, and the messages for configurations that still name one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RemovedSetting:
    """A setting that is gone."""

    default: Any
    """Its default: a configuration with this value loses nothing."""
    reason: str
    """Why it was removed, and what replaces it."""
    is_in_cell_ids: bool = True
    """Whether the ids of a sweep's cells depend on it, as on all settings of format 2 of run directories."""


_GATES = "a search trains every program that the critic accepts; the gates saved no training on 139 measured programs"
_WEIGHTS = "weights are changed by the designer; slots that changed weights alone did no better (benchmarks/LOG.md)"

REMOVED_SETTINGS: Mapping[str, RemovedSetting] = {
    "gates.duplicates": RemovedSetting(False, _GATES),
    "gates.same": RemovedSetting("affine", _GATES),
    "gates.tolerance": RemovedSetting(1e-3, _GATES),
    "gates.order": RemovedSetting(False, _GATES),
    "evolution.weight_slots": RemovedSetting(0, _WEIGHTS),
    "evolution.weight_method": RemovedSetting("cma", _WEIGHTS),
    "evolution.weight_step": RemovedSetting(0.5, _WEIGHTS),
    "designer.edits": RemovedSetting("whole", "an answer is a whole program; programs are a few lines"),
    "evaluation.probe_transitions": RemovedSetting(1024, "the number is fixed at 1,024"),
    "training.keep": RemovedSetting(
        "last",
        "a training gives its last policy; the checkpoint with the best return did worse (benchmarks/RESULTS.md)",
        is_in_cell_ids=False,
    ),
    "feedback.prior": RemovedSetting(1.5, "the standard deviation is fixed at 1.5"),
}
"""Dotted name of each setting that is gone."""


def describe_removed_settings(layer: Mapping[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """Return the removed settings that a configuration still has: the place of each, and a line about it.

    >>> describe_removed_settings({"feedback": {"prior": 2.0}})
    [(('feedback', 'prior'), 'feedback.prior was removed: the standard deviation is fixed at 1.5; delete it')]
    """
    return [
        (tuple(name.split(".")), f"{name} was removed: {REMOVED_SETTINGS[name].reason}; delete it")
        for name, _ in _find_removed(layer)
    ]


def drop_removed_settings(layer: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a configuration that an earlier version wrote, without the settings that are gone.

    Returns:
        The configuration, and a notice for each of these settings that was not at its default.

    >>> drop_removed_settings({"designer": {"edits": "diff", "history": 2}, "gates": {"order": False}})[0]
    {'designer': {'history': 2}}
    """
    notices = [
        f"{name} = {value!r} is ignored: it was removed; {REMOVED_SETTINGS[name].reason}"
        for name, value in _find_removed(layer)
        if value != REMOVED_SETTINGS[name].default
    ]
    kept: dict[str, Any] = {}
    for section, values in layer.items():
        if not isinstance(values, Mapping):
            kept[section] = values
            continue
        remaining = {key: value for key, value in values.items() if f"{section}.{key}" not in REMOVED_SETTINGS}
        # A section of which nothing is left, as [gates], is gone too.
        if remaining or not values:
            kept[section] = remaining
    return kept, tuple(notices)


def _find_removed(layer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a configuration that are gone, with their values."""
    for section, values in layer.items():
        for key, value in values.items() if isinstance(values, Mapping) else ():
            if f"{section}.{key}" in REMOVED_SETTINGS:
                yield f"{section}.{key}", value
