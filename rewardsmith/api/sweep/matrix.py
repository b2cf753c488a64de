"""The file of a sweep, and the cells that it asks for.

```toml
about = "what the sweep is for"
tasks = ["hopper*", "!hopper_front_flip", "classic_control/*", "Swimmer-v5"]   # names, globs, ids; "!" leaves out
presets = ["smith", "symbolic"]
models = ["model-a", "model-b"]     # none: what the settings name
seeds = 3                           # 0, 1, 2; or a list
[settings.search]                   # over the presets and the cards
population = 4
[per_task."hopper*"]                # text, fitness, settings of the tasks that match
fitness = "x_position[-1]"
[budget]                            # of one call; when it is reached, no further cell begins
cost_usd = 20.0
wall_s = 28_800
[scales.laptop]                     # `--scale laptop`: other tasks, presets, models or seeds, and settings on top
seeds = 1
[scales.laptop.settings.search]
env_steps = 50_000
```
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, MinLen
from pydantic import BaseModel, ConfigDict

from rewardsmith.api import searches
from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError, SweepError, UserError
from rewardsmith.contract.package_data import folder
from rewardsmith.contract.records import Positive
from rewardsmith.spec import config as configuration
from rewardsmith.spec import toml_files
from rewardsmith.spec.config import Config, Layer
from rewardsmith.spec.task_cards import Task, cards, load_task

Names = tuple[str, ...]
Seeds = Annotated[int, Ge(1)] | Annotated[tuple[Annotated[int, Ge(0)], ...], MinLen(1)]

RESULTLESS = ("jobs", "executor", "trackers", "limits", "budget")
"""Sections of a configuration that say how a search is run, not what comes of it: no part of a cell's identity."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PerTask(_Model):
    """What is different for some tasks."""

    text: str | None = None
    fitness: str | None = None
    settings: dict[str, Any] = {}


class SweepBudget(_Model):
    """What one call of `rewardsmith sweep` may take; when it is reached, no further cell begins."""

    cost_usd: Positive | None = None
    """Dollars for the calls of language models."""
    wall_s: Positive | None = None
    """Seconds."""


class Scale(_Model):
    """A sweep of the same kind at another size."""

    about: str = ""
    tasks: Names | None = None
    presets: Names | None = None
    models: Names | None = None
    seeds: Seeds | None = None
    settings: dict[str, Any] = {}


class SweepFile(_Model):
    """A sweep as it is written down."""

    about: str = ""
    tasks: Annotated[Names, MinLen(1)]
    presets: Annotated[Names, MinLen(1)] = ("smith",)
    models: Names = ()
    seeds: Seeds = 1
    settings: dict[str, Any] = {}
    per_task: dict[str, PerTask] = {}
    budget: SweepBudget = SweepBudget()
    scales: dict[str, Scale] = {}


@dataclass(frozen=True)
class Cell:
    """One search of a sweep."""

    id: str
    """Its readable name, and a hash of all that its result depends on; the name of its run directory."""
    task: Task
    preset: str
    model: str | None
    """Of the designer; None where the cell asks none, or the settings name it."""
    seed: int
    config: Config
    calls: int = 0
    """Of language models, when no program needs a repair."""

    @property
    def recipe(self) -> str:
        """What is compared between cells of a task: the preset, with its model where there is one."""
        return recipe_name(self.preset, self.model)


@dataclass(frozen=True)
class Refusal:
    """Cells that cannot run."""

    task: str
    recipe: str
    cells: int
    cause: str


@dataclass(frozen=True)
class Matrix:
    """All that a file asks for."""

    cells: tuple[Cell, ...]
    refused: tuple[Refusal, ...]
    budget: SweepBudget

    @property
    def trainings(self) -> int:
        """Trainings at most, those of the reports included."""
        return sum(cell.config.search.trainings for cell in self.cells)

    @property
    def env_steps(self) -> int:
        """Environment steps of all trainings at most."""
        return sum(cell.config.search.trainings * cell.config.search.env_steps for cell in self.cells)


def read(path: Path) -> SweepFile:
    """Read a sweep's file.

    Raises:
        SweepError: if it cannot be read or a key or a value is wrong: names the file, the line and the nearest key.
        ConfigError: if a setting is wrong, named likewise.
    """
    nested: dict[str, type[BaseModel]] = {"scales": Scale, "per_task": PerTask, "budget": SweepBudget}
    sweep = toml_files.load(path, "sweep", SweepFile, SweepError, nested)
    layers: dict[tuple[str, ...], Layer] = {("settings",): sweep.settings}
    layers |= {("per_task", name): entry.settings for name, entry in sweep.per_task.items()}
    layers |= {("scales", name): entry.settings for name, entry in sweep.scales.items()}
    for where, layer in layers.items():
        try:
            configuration.resolve(layer)
        except ConfigError as error:
            named = re.search(r"'([\w.]+)'|([\w.]+) =", str(error))
            keys = (named[1] or named[2]).split(".") if named else []
            place = toml_files.place(path, path.read_text(encoding="utf-8"), (*where, *keys))
            raise ConfigError(f"{place}: {error}") from error
    return sweep


def scaled(sweep: SweepFile, name: str | None) -> SweepFile:
    """Return the sweep at one of its scales; None: as it is.

    Raises:
        SweepError: if it has no such scale.
    """
    if name is None:
        return sweep
    if name not in sweep.scales:
        known = ", ".join(sweep.scales) or "none"
        raise SweepError(f"the sweep has no scale {name!r}; it has {known}")
    scale = sweep.scales[name]
    settings: dict[str, Any] = {}
    configuration.merge(settings, sweep.settings)
    changed = {
        key: value for key in ("tasks", "presets", "models", "seeds") if (value := getattr(scale, key)) is not None
    }
    per_task = {
        pattern: entry.model_copy(update={"settings": _over(entry.settings, scale.settings)})
        for pattern, entry in sweep.per_task.items()
    }
    return sweep.model_copy(update={**changed, "settings": _over(settings, scale.settings), "per_task": per_task})


def lay_out(sweep: SweepFile, environment: Mapping[str, str] = os.environ) -> Matrix:
    """Work out the cells; those that cannot run are named with the reason.

    Args:
        sweep: the file, at the scale that is wanted.
        environment: variables, of which REWARDSMITH_* count.

    Raises:
        SweepError: if a pattern matches no task, or two presets have one name.
    """
    names = [recipe_name(preset, None) for preset in sweep.presets]
    if len(set(names)) < len(names):
        raise SweepError(
            f"presets: two of {', '.join(sweep.presets)} have the same name; tables could not tell them apart"
        )
    seeds = range(sweep.seeds) if isinstance(sweep.seeds, int) else sweep.seeds
    cells: dict[str, Cell] = {}
    refused: list[Refusal] = []
    for env in find_tasks(sweep.tasks):
        for preset in sweep.presets:
            for model in sweep.models or (None,):
                try:
                    planned = _plan(sweep, env, preset, model, environment)
                    if model and not planned.config.roles:
                        planned = _plan(sweep, env, preset, None, environment)
                except UserError as error:
                    refused.append(Refusal(env, recipe_name(preset, model), len(seeds), str(error)))
                    continue
                found = cells_of(planned, preset, model, seeds)
                cells |= {cell.id: cell for cell in found}
    return Matrix(tuple(cells.values()), tuple(refused), sweep.budget)


def cells_of(planned: searches.Plan, preset: str, model: str | None, seeds: Iterable[int]) -> Iterable[Cell]:
    """Yield a cell per seed of a planned search."""
    task, config = planned.task, planned.config
    model = model if config.roles else None
    name = "-".join(
        re.sub(r"[^A-Za-z0-9_.]+", "_", part) for part in (task.name, Path(preset).stem, model or "") if part
    )
    content = identity(task), config.model_dump(mode="json", exclude={*RESULTLESS})
    for seed in seeds:
        content[1]["search"]["seed"] = seed
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
        search = config.search.model_copy(update={"seed": seed})
        settled = config.model_copy(update={"search": search})
        yield Cell(f"{name}-s{seed}-{digest}", task, preset, model, seed, settled, planned.calls)


def identity(task: Task) -> dict[str, Any]:
    """Return what of a task its cells' ids depend on: all that an outcome depends on, the further figures included.

    Anchors are what a card's task is compared with: measuring them anew changes no search. A figure changes no search
    either, but what is measured of it: an outcome without it is not the outcome that is asked for. Its words do not
    count, and a task without figures has the ids that it had before there were any.
    """
    figures = tuple(replace(figure, meaning="") for figure in task.figures)
    content: dict[str, Any] = records.dump(replace(task, anchors=(), figures=figures))
    if not figures:
        del content["figures"]
    return content


def recipe_name(preset: str, model: str | None) -> str:
    """Return what a preset with a model is called in tables.

    >>> recipe_name("recipes/mine.toml", "small")
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
    homes = {path.stem: f"{path.parent.name}/{path.stem}" for path in folder("envs").glob("*/*.toml")}
    names = sorted(card.name for card in cards())
    patterns = tuple(patterns)
    left_out = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    found: dict[str, None] = {}
    for pattern in (pattern for pattern in patterns if not pattern.startswith("!")):
        if not any(sign in pattern for sign in "*?["):
            found[pattern] = None
            continue
        matching = [name for name in names if _matches(name, homes.get(name, name), pattern)]
        if not matching:
            raise SweepError(
                f"tasks: {pattern!r} matches no task; `rewardsmith envs` lists them, families are {_families()}"
            )
        found |= dict.fromkeys(matching)
    kept = [name for name in found if not any(_matches(name, homes.get(name, name), out) for out in left_out)]
    if not kept:
        raise SweepError("tasks: nothing is left of what the patterns name")
    return tuple(kept)


def _families() -> str:
    return ", ".join(sorted({f"{path.parent.name}/*" for path in folder("envs").glob("*/*.toml")}))


def _matches(name: str, home: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(home, pattern)


def _plan(sweep: SweepFile, env: str, preset: str, model: str | None, environment: Mapping[str, str]) -> searches.Plan:
    mine = [entry for pattern, entry in sweep.per_task.items() if fnmatchcase(env, pattern)]
    texts = [entry.text for entry in mine if entry.text]
    fitness = [entry.fitness for entry in mine if entry.fitness]
    layer: Layer = {"preset": preset}
    for settings in (sweep.settings, *(entry.settings for entry in mine), {"llm": {"model": model}} if model else {}):
        layer = _over(layer, settings)
    measure = fitness[-1] if fitness else None
    text = texts[-1] if texts else load_task(None, env, measure).text
    planned = searches.plan(text, env, measure, overrides=layer, environment=environment)
    _check_answers(planned.config)
    return planned


def _check_answers(config: Config) -> None:
    """Refuse cells that would wait for people, or ask a model that cannot be reached."""
    if config.feedback.rank == "people":
        raise SweepError("people compare its programs, and a sweep waits for nobody; feedback.rank = 'judge' would do")
    if config.roles:
        from rewardsmith import llm

        with tempfile.TemporaryDirectory() as nowhere:
            llm.build(config.llm, config.budget, Path(nowhere) / "llm.jsonl", roles=config.roles).close()


def _over(lower: Layer, upper: Layer) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    configuration.merge(merged, lower)
    configuration.merge(merged, upper)
    return merged
