"""Cells of a sweep: one search for each task, preset, model and seed that its file asks for."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rewardsmith.api.planning import SearchPlan, plan_search
from rewardsmith.api.sweep.sweep_file import SweepBudget, SweepFile, stack_layers
from rewardsmith.contract import records
from rewardsmith.contract.errors import SweepError, UserError
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.contract.records.fitness import AUTO_FITNESS
from rewardsmith.spec import config as configuration
from rewardsmith.spec.config import Config, Layer
from rewardsmith.spec.env_options import EnvOptions, check_kwargs, check_pass_env
from rewardsmith.spec.labelling import list_roles
from rewardsmith.spec.learned_signals import make_learned_signal
from rewardsmith.spec.removed_settings import REMOVED_SETTINGS
from rewardsmith.spec.task_cards import Task, load_cards, load_task

RESULTLESS = ("jobs", "executor", "trackers", "limits", "budget")
"""Sections of a configuration that say how a search is run, not what comes of it: no part of a cell's identity."""


@dataclass(frozen=True)
class Cell:
    """One search of a sweep."""

    id: str
    """Its readable name, and a hash of all that its result depends on; the name of its run directory."""
    task: Task
    preset_source: str
    """Name of the preset, or path of its TOML file, as the sweep's file gives it."""
    model: str | None
    """Model of the designer; None where the cell asks none, or the settings name it."""
    seed: int
    config: Config
    calls: int = 0
    """Calls of language models if no program needs a repair."""

    @property
    def preset(self) -> str:
        """Name of the preset, with the model where there is one: what tables compare."""
        return format_preset(self.preset_source, self.model)


@dataclass(frozen=True)
class RefusedCells:
    """Cells that cannot run."""

    task: str
    preset: str
    cells: int
    cause: str


@dataclass(frozen=True)
class SweepMatrix:
    """Cells that a file asks for."""

    cells: tuple[Cell, ...]
    refused: tuple[RefusedCells, ...]
    budget: SweepBudget

    @property
    def trainings(self) -> int:
        """Trainings at most, those of the reports included."""
        return sum(cell.config.search.trainings for cell in self.cells)

    @property
    def env_steps(self) -> int:
        """Environment steps of all trainings at most."""
        return sum(cell.config.search.trainings * cell.config.search.env_steps for cell in self.cells)


def build_matrix(sweep: SweepFile, variables: Mapping[str, str] = os.environ) -> SweepMatrix:
    """Build the cells of a sweep; those that cannot run are named with the reason.

    Args:
        sweep: the file's content, at the chosen scale.
        variables: environment variables, of which REWARDSMITH_* count.

    Raises:
        SweepError: if a pattern matches no task, or two presets have one name.
    """
    names = [format_preset(preset, None) for preset in sweep.presets]
    if len(set(names)) < len(names):
        raise SweepError(
            f"presets: two of {', '.join(sweep.presets)} have the same name; tables could not tell them apart"
        )
    seeds = range(sweep.seeds) if isinstance(sweep.seeds, int) else sweep.seeds
    cells: dict[str, Cell] = {}
    refused: list[RefusedCells] = []
    for env in find_tasks(sweep.tasks):
        for preset in sweep.presets:
            for model in sweep.models or (None,):
                try:
                    plan = _plan_cell(sweep, env, preset, model, variables)
                    # A search that asks no model is the same cell for each of them.
                    if model and not list_roles(plan.config, plan.task.env):
                        plan = _plan_cell(sweep, env, preset, None, variables)
                except UserError as error:
                    refused.append(RefusedCells(env, format_preset(preset, model), len(seeds), str(error)))
                    continue
                cells |= {cell.id: cell for cell in build_cells(plan, preset, model, seeds)}
    return SweepMatrix(tuple(cells.values()), tuple(refused), sweep.budget)


def build_cells(plan: SearchPlan, preset: str, model: str | None, seeds: Iterable[int]) -> Iterable[Cell]:
    """Yield a cell per seed of a planned search."""
    task, config = plan.task, plan.config
    model = model if list_roles(config, task.env) else None

    # The readable part of the ids.
    parts = [part for part in (task.name, Path(preset).stem, model) if part]
    name = "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", part) for part in parts)

    for seed in seeds:
        search = config.search.model_copy(update={"seed": seed})
        cell_config = config.model_copy(update={"search": search})
        digest = _hash_cell(task, cell_config)
        yield Cell(f"{name}-s{seed}-{digest}", task, preset, model, seed, cell_config, plan.calls)


def _hash_cell(task: Task, config: Config) -> str:
    """Return the digest of all that a cell's result depends on."""
    text = json.dumps((dump_identity(task), dump_settings(config)), sort_keys=True)
    # Hashed under the signal's earlier name, which the parsers still read: it is the same signal.
    text = re.sub(r"\benvironment_reward\b", "own_reward", text)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def dump_identity(task: Task) -> dict[str, Any]:
    """Return the part of a task that the ids of its cells depend on: all that an outcome depends on, metrics included.

    Anchors are left out, as measuring them again changes no search. A metric changes no search either, but an outcome
    without it is not the outcome that is asked for; its words do not count. Names are those of earlier versions, so
    that the cells of an existing sweep keep their ids.
    """
    metrics = tuple(replace(metric, meaning="") for metric in task.metrics)
    content: dict[str, Any] = records.dump(replace(task, anchors=(), metrics=metrics))
    earlier_metrics = content.pop("metrics")
    for metric in earlier_metrics:
        for name, default in (("in_prompts", False), ("better", None)):
            if metric[name] == default:
                del metric[name]
    if earlier_metrics:
        content["figures"] = earlier_metrics
    content["env"]["measures"] = content["env"].pop("privileged_signals")
    for name in ("pass_env", "imports", "wrappers", "learned_signals"):
        if not content["env"][name]:
            del content["env"][name]
    for name in ("stages", "behaviour", "title"):
        if not content[name]:
            del content[name]
    return content


def dump_settings(config: Config) -> dict[str, Any]:
    """Return the settings that the ids of cells depend on; removed ones are included at their former defaults.

    Settings of later versions are left out where they have their defaults. So the cells of a sweep that an earlier
    version began keep their ids.
    """
    content: dict[str, Any] = config.model_dump(mode="json", exclude={*RESULTLESS})
    for name, setting in REMOVED_SETTINGS.items():
        section, key = name.split(".")
        if setting.is_in_cell_ids and section not in RESULTLESS:
            content.setdefault(section, {})[key] = setting.default
    defaults = Config().model_dump(mode="json")
    for name in configuration.SETTINGS_SINCE_FORMAT_2:
        section, key = name.split(".")
        if content.get(section, {}).get(key, ...) == defaults[section][key]:
            del content[section][key]
    if not config.search.finalist_share:
        del content["search"]["finalist_share"]  # as in the searches of versions without finalists
    return content


def format_preset(preset: str, model: str | None) -> str:
    """Return the name of a preset with its model, as tables show it.

    >>> format_preset("presets/mine.toml", "small")
    'mine (small)'
    """
    name = Path(preset).stem if preset.endswith(".toml") else preset
    return f"{name} ({model})" if model else name


def find_tasks(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the tasks that patterns name, in their order: a card's name, an environment's id, or a card's file.

    Args:
        patterns: globs over cards, by name or "family/name"; a pattern without a wildcard is taken as it is; one that
            begins with "!" leaves out what it matches.

    Raises:
        SweepError: if a glob matches no card, or nothing is left.
    """
    # Each card matches by its name, and by its family and name.
    names = sorted(card.name for card in load_cards())
    card_paths = {path.stem: f"{path.parent.name}/{path.stem}" for path in find_data_folder("envs").glob("*/*.toml")}

    def matches(name: str, pattern: str) -> bool:
        return fnmatchcase(name, pattern) or fnmatchcase(card_paths.get(name, name), pattern)

    # What the patterns name.
    patterns = tuple(patterns)
    selected: dict[str, None] = {}
    for pattern in patterns:
        if pattern.startswith("!"):
            continue
        if not any(sign in pattern for sign in "*?["):
            selected[pattern] = None
            continue
        matching = [name for name in names if matches(name, pattern)]
        if not matching:
            raise SweepError(
                f"tasks: {pattern!r} matches no task; `rewardsmith envs` lists them, families are {_list_families()}"
            )
        selected |= dict.fromkeys(matching)

    # Without what they leave out.
    left_out = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    kept = [name for name in selected if not any(matches(name, pattern) for pattern in left_out)]
    if not kept:
        raise SweepError("tasks: nothing is left of what the patterns name")
    return tuple(kept)


def _list_families() -> str:
    return ", ".join(sorted({f"{path.parent.name}/*" for path in find_data_folder("envs").glob("*/*.toml")}))


def _plan_cell(sweep: SweepFile, env: str, preset: str, model: str | None, variables: Mapping[str, str]) -> SearchPlan:
    """Plan the search of a cell: the sweep's settings over the preset, and those of its task over both."""
    entries = [entry for pattern, entry in sweep.per_task.items() if fnmatchcase(env, pattern)]

    # The settings.
    layer: Layer = {"preset": preset}
    for settings in (sweep.settings, *(entry.settings for entry in entries)):
        layer = stack_layers(layer, settings)
    if model:
        layer = stack_layers(layer, {"llm": {"model": model}})

    # The environment.
    options = EnvOptions()
    for entry in entries:
        kwargs = {**options.kwargs, **check_kwargs(entry.env_kwargs, "per_task")}
        names = (*options.pass_env, *check_pass_env(entry.pass_env, "per_task"))
        learned = (make_learned_signal(name, keys, "per_task", Path.cwd()) for name, keys in entry.signals.items())
        options = EnvOptions(kwargs, names, (*options.signals, *learned))

    # The task.
    text = _find_last_set(entry.text for entry in entries)
    fitness = _find_last_set(entry.fitness for entry in entries)
    if fitness == AUTO_FITNESS:
        raise SweepError("fitness = 'auto' asks for a yes in each search, and a sweep waits for nobody: write it out")
    has_stages = all(entry.stages for entry in entries)
    target = env if has_stages else replace(load_task(text, env, fitness), stages=())

    plan = plan_search(text, target, fitness, overrides=layer, variables=variables, env_options=options)
    _refuse_unanswerable(plan.task, plan.config)
    return plan


def _find_last_set(values: Iterable[str | None]) -> str | None:
    """Return the last value that is set, as later patterns go before earlier ones; None without one."""
    return next((value for value in reversed([*values]) if value), None)


def _refuse_unanswerable(task: Task, config: Config) -> None:
    """Refuse cells that would wait for people, or ask a model that cannot be reached."""
    if config.feedback.rank == "people":
        raise SweepError("people compare its programs, and a sweep waits for nobody; feedback.rank = 'judge' would do")
    roles = list_roles(config, task.env)
    if roles:
        from rewardsmith import llm

        llm.check_models(config.llm, config.budget, roles)
