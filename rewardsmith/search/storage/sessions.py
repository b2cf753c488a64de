"""Changes between two sessions of a run: settings that were edited by hand, and other versions of the packages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rewardsmith.contract import bounded_files, records
from rewardsmith.contract.errors import RunError
from rewardsmith.search.storage.provenance import Provenance, collect_provenance
from rewardsmith.search.storage.run import Run

FREE_SECTIONS = ("budget", "llm", "jobs", "limits", "executor", "sandbox", "trackers")
"""Sections of the settings that may change between two sessions: budgets, the model's endpoint, the machine's."""


def hash_settings(recorded: Mapping[str, Any]) -> str:
    """Return a hash of the settings that the results of a run depend on.

    Args:
        recorded: the configuration, as config.toml holds it.
    """
    fixed = {section: value for section, value in recorded.items() if section not in FREE_SECTIONS}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16]


def begin_session(run: Run, notify: Callable[[str], None]) -> None:
    """Make sure that a run goes on with its own settings, and take note of packages that have changed meanwhile.

    Call it with the journal open. The hash of the settings is recorded by the first session.

    Args:
        run: the run.
        notify: called with a line about versions that differ from those of the session before.

    Raises:
        RunError: if config.toml was changed in a setting that the results depend on.
        OSError: if a file of the run cannot be written.
    """
    before = run.read_provenance()
    settings = hash_settings(bounded_files.parse_toml(bounded_files.read_text(run.layout.config), run.layout.config))
    if before.settings not in (None, settings):
        raise RunError(
            f"{run.layout.config} was changed since the run began, in a setting that its results depend on; put it"
            " back, or begin a run of its own with `rewardsmith design --config FILE`"
        )

    from rewardsmith.llm import prompts

    # Runs of earlier versions have no hash of their prompts to compare with.
    now = collect_provenance(prompts.hash_prompts() if before.prompts else before.prompts)
    changes = list_changes(before, now)
    if changes:
        what = ", ".join(changes)
        notify(f"not as in the session before: {what}; the results of this run come from both (provenance.json)")
        now = replace(now, changes=(*before.changes, f"{now.created}: {what}"))
    else:
        now = replace(now, changes=before.changes)
    updated = replace(now, format=before.format, created=before.created, sandbox=before.sandbox, settings=settings)
    if updated != before:
        records.write(updated, run.layout.provenance)


def list_changes(before: Provenance, now: Provenance) -> list[str]:
    """Return what has changed between two sessions that results depend on: "mujoco 3.9.0 -> 4.0.0"."""
    pairs = {name: (version, now.versions.get(name)) for name, version in before.versions.items()}
    # A release that mends faults changes no result.
    pairs["Python"] = (_read_minor_version(before.python), _read_minor_version(now.python))
    changes = [f"{name} {old} -> {new}" for name, (old, new) in pairs.items() if old != new]
    if before.prompts != now.prompts:
        changes.append("the prompts")
    return changes


def _read_minor_version(version: str) -> str:
    return ".".join(version.split(".")[:2])
