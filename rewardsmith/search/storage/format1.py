"""Format 1 of a run directory: its records and settings had other names than today's.

Reading translates in memory, record by record (`upgrade_record`, `upgrade_event`). The first time
that such a run is opened for writing, `convert_files` translates its files, and keeps the old journal as a backup.
Translating twice changes nothing more, so a conversion that was interrupted is simply done again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from rewardsmith.contract import records
from rewardsmith.contract.bounded_files import read_json, read_text
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import (
    Baselines,
    Candidate,
    EnvSpec,
    Episode,
    EvaluateJob,
    Evaluation,
    GenerationPlan,
    InfoEntry,
    Probe,
    ProbeJob,
    Proposal,
    Reflection,
    RenderJob,
    ReportedMetric,
    Result,
    SlotAssignment,
    Training,
    TrainJob,
    Verdict,
    Video,
)
from rewardsmith.search.storage.journal import Event, format_event
from rewardsmith.search.storage.journal_keys import PROBE_KEY, parse_plan_key
from rewardsmith.search.storage.layout import RunLayout
from rewardsmith.spec.task_cards import Anchor, Task

NEW_NAMES: Mapping[type, Mapping[str, str]] = {
    SlotAssignment: {"told": "visible_candidates", "given": "user_program_key"},
    Baselines: {"own_reward": "environment_reward"},
    Candidate: {"feedback": "reflection"},
    EnvSpec: {"measures": "privileged_signals"},
    Episode: {"figures": "metrics"},
    EvaluateJob: {"figures": "metrics"},
    Evaluation: {"figures": "metrics"},
    Probe: {"measures": "privileged_signals"},
    ReportedMetric: {"own_reward": "environment_reward"},
    Result: {"figures": "metrics"},
    Task: {"figures": "metrics"},
    Verdict: {"dry_run": "trial_scoring"},
}
"""Record to its fields that had another name in format 1."""

STEP_RECORDS: Mapping[str, type] = {
    "designer": Proposal,
    "critic": Verdict,
    "trainer": Training,
    "evaluator": Evaluation,
    "analyzer": Reflection,
}
"""Step to the record of its events; those of evolution and of people's feedback are told apart by their keys."""

JOB_RECORDS: Mapping[str, tuple[type, type]] = {
    "probe": (ProbeJob, Probe),
    "train": (TrainJob, Training),
    "evaluate": (EvaluateJob, Evaluation),
    "render": (RenderJob, Video),
}
"""Kind of a job to the records of the job and of its result."""

READING_TIPS = "\n\nHow to read this:\n1. Fitness that stays near its start"
"""Beginning of the tips that a reflection ended with."""


# ---------------------------------------------------------------- in memory


def upgrade_record(kind: Any, data: Any) -> Any:
    """Return the plain values of a format-1 record under today's names; fields that are gone are left out.

    >>> upgrade_record(Candidate, {"id": "g0c00", "feedback": {"text": "good"}, "gates": []})
    {'id': 'g0c00', 'reflection': {'text': 'good'}}

    Args:
        kind: the record's type, or that of a field: a tuple, list, dict or option of records.
        data: plain JSON values.
    """
    if isinstance(data, list):
        return [upgrade_record(_item_type(kind), item) for item in data]
    if not isinstance(data, dict):
        return data
    kind = _record_type(kind)
    if kind is None:
        return data
    names, types = NEW_NAMES.get(kind, {}), _get_type_hints(kind)
    renamed = {names.get(name, name): value for name, value in data.items()}
    upgraded = {name: upgrade_record(types[name], value) for name, value in renamed.items() if name in types}
    change = _CHANGED_VALUES.get(kind)
    return change(upgraded) if change else upgraded


def upgrade_event(event: Event) -> Event:
    """Return an event of a format-1 journal with its record under today's names."""
    kind = STEP_RECORDS.get(event.step)
    if parse_plan_key(event.key) is not None:
        kind = GenerationPlan
    elif event.key == PROBE_KEY:
        kind = Probe
    return event if kind is None else replace(event, data=upgrade_record(kind, event.data))


def _upgrade_assignment(data: dict[str, Any]) -> dict[str, Any]:
    """Replace the mode "weights", in which evolution changed a parent's weights, by the nearest one that there is."""
    return data | {"mode": "refine"} if data.get("mode") == "weights" else data


def _upgrade_candidate(data: dict[str, Any]) -> dict[str, Any]:
    """Replace the status "duplicate": such a program was refused before training, and took over another's fitness."""
    return data | {"status": "invalid", "fitness": None} if data.get("status") == "duplicate" else data


def _upgrade_reflection(data: dict[str, Any]) -> dict[str, Any]:
    """Cut off the designer's reading tips, with which the text of a trained candidate ended."""
    text = data.get("text", "")
    reflection, marker, _ = text.rpartition(READING_TIPS)
    return data | {"text": f"{reflection}\n"} if marker else data


def _upgrade_privileged_signals(data: dict[str, Any]) -> dict[str, Any]:
    """Rename the signal of the environment reward, which no program can read."""
    signals = data.get("privileged_signals") or []
    renamed = [_with_current_value(signal, "name") for signal in signals]
    return data | {"privileged_signals": renamed} if signals else data


def _with_current_value(data: dict[str, Any], field: str) -> dict[str, Any]:
    """Replace the value of a field by its present name, where it has another one."""
    return data | {field: _CURRENT_VALUES.get(data[field], data[field])} if field in data else data


_CURRENT_VALUES = {"own_reward": "environment_reward", "own-reward": "environment-reward", "measure": "privileged"}
"""Values of format 1 that have another name now; each is looked up only in the fields that can have it."""

_get_type_hints = cache(get_type_hints)

_CHANGED_VALUES: Mapping[type, Callable[[dict[str, Any]], dict[str, Any]]] = {
    Anchor: partial(_with_current_value, field="policy"),
    Candidate: _upgrade_candidate,
    EnvSpec: _upgrade_privileged_signals,
    InfoEntry: partial(_with_current_value, field="decision"),
    Probe: _upgrade_privileged_signals,
    Reflection: _upgrade_reflection,
    SlotAssignment: _upgrade_assignment,
}


def _item_type(kind: Any) -> Any:
    """Return the type of the items of a list or tuple type; None where it is not known."""
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return next((get_args(option)[0] for option in options if get_origin(option) in (tuple, list)), None)


def _record_type(kind: Any) -> type | None:
    """Return the one dataclass that a field's type names; None if it names no dataclass, or several."""
    options = [option for option in (kind, *get_args(kind)) if isinstance(option, type) and is_dataclass(option)]
    return options[0] if len(options) == 1 else None


# ---------------------------------------------------------------- on the disk


def convert_files(layout: RunLayout, events: Iterable[Event], config_text: str) -> None:
    """Rewrite the files of a format-1 run; the caller holds the lock of its journal, and marks it as format 2 after.

    Args:
        layout: of the run.
        events: of its journal, as format 1 has them.
        config_text: the upgraded configuration as TOML.

    Raises:
        OSError: if a file cannot be read or written.
    """
    # The journal first, and the old one is never overwritten.
    if not layout.journal_of_format_1.exists():
        part = layout.journal_of_format_1.with_suffix(".part")
        shutil.copyfile(layout.journal, part)
        part.replace(layout.journal_of_format_1)
    records.write_text(layout.journal, "".join(format_event(upgrade_event(event)) for event in events))

    # The files that people look for.
    for path in layout.list_candidate_records():
        _convert_file(Candidate, path)
        old_reflection = path.with_name("feedback.md")
        if old_reflection.is_file():
            reflection = _upgrade_reflection({"text": read_text(old_reflection)})
            records.write_text(layout.reflection_file(path.parent.name), reflection["text"])
            old_reflection.unlink()
    _convert_file(Result, layout.result)

    # Jobs, so that a finished one is found again and a recorded episode can be rendered.
    folders = [layout.probe_dir, *(folder for phase in layout.list_owner_dirs() for folder in sorted(phase.iterdir()))]
    for folder in folders:
        _convert_job(folder)

    _convert_file(Task, layout.task)
    records.write_text(layout.config, config_text)


def _convert_job(folder: Path) -> None:
    """Rewrite the job and the result in a job's folder; what is no job is left as it is."""
    try:
        kind = read_json(folder / "job.json")["kind"]
        job, result = JOB_RECORDS[kind]
    except (OSError, ValueError, KeyError, TypeError):
        return
    _convert_file(job, folder / "job.json")
    _convert_file(result, folder / RESULT_FILE)


def _convert_file(kind: type, path: Path) -> None:
    if path.is_file():
        data = upgrade_record(kind, read_json(path))
        records.write_text(path, json.dumps(data, indent=1) + "\n")
