"""File of a sweep: its format, and its scales.

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
[per_task."mine.toml"]              # arguments, environment variables and learned signals, besides the card's
env_kwargs = { difficulty = 3 }
pass_env = ["MINE_HOME"]
signals = { reached = { provider = "subgoals" } }
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

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, MinLen
from pydantic import BaseModel, ConfigDict

from rewardsmith.contract.errors import ConfigError, SweepError
from rewardsmith.contract.records import Positive
from rewardsmith.spec import config as configuration
from rewardsmith.spec import toml_files
from rewardsmith.spec.config import Layer
from rewardsmith.spec.validation_errors import join_lines

Names = tuple[str, ...]
Seeds = Annotated[int, Ge(1)] | Annotated[tuple[Annotated[int, Ge(0)], ...], MinLen(1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskOverride(_Model):
    """Text, fitness, options and learned signals of the environment, and settings of the tasks that match a pattern."""

    text: str | None = None
    fitness: str | None = None
    env_kwargs: dict[str, Any] = {}
    pass_env: Names = ()
    signals: dict[str, dict[str, Any]] = {}
    stages: bool = True
    """false: the task alone, without the stages of its card."""
    settings: dict[str, Any] = {}


class SweepBudget(_Model):
    """Budget of one call of `rewardsmith sweep`; when it is reached, no further cell begins."""

    cost_usd: Positive | None = None
    """Dollars for the calls of language models."""
    wall_s: Positive | None = None
    """Wall clock, in seconds."""


class SweepScale(_Model):
    """A sweep of the same kind at another size."""

    about: str = ""
    tasks: Names | None = None
    presets: Names | None = None
    models: Names | None = None
    seeds: Seeds | None = None
    settings: dict[str, Any] = {}


class SweepFile(_Model):
    """Content of a sweep's file."""

    about: str = ""
    tasks: Annotated[Names, MinLen(1)]
    presets: Annotated[Names, MinLen(1)] = ("smith",)
    models: Names = ()
    seeds: Seeds = 1
    settings: dict[str, Any] = {}
    per_task: dict[str, TaskOverride] = {}
    budget: SweepBudget = SweepBudget()
    scales: dict[str, SweepScale] = {}


NESTED: Mapping[str, type[BaseModel]] = {"scales": SweepScale, "per_task": TaskOverride, "budget": SweepBudget}
"""The models below the keys of a sweep's file."""


def load_sweep_file(path: Path) -> SweepFile:
    """Read a sweep's file.

    Raises:
        SweepError: if it cannot be read or a key or a value is wrong: names the file, the line and the nearest key.
        ConfigError: if a setting is wrong, named likewise.
    """
    sweep = toml_files.load_validated_toml(path, "sweep", SweepFile, SweepError, NESTED)
    layers: dict[tuple[str, ...], Layer] = {("settings",): sweep.settings}
    layers |= {("per_task", name): entry.settings for name, entry in sweep.per_task.items()}
    layers |= {("scales", name): entry.settings for name, entry in sweep.scales.items()}
    text = path.read_text(encoding="utf-8")
    faults = [
        f"{toml_files.locate_key(path, text, (*where, *location))}: {line}"
        for where, layer in layers.items()
        for location, line in configuration.describe_setting_faults(layer)
    ]
    if faults:
        raise ConfigError(join_lines(faults))
    return sweep


def apply_scale(sweep: SweepFile, name: str | None) -> SweepFile:
    """Return the sweep at one of its scales; None: as it is.

    Raises:
        SweepError: if it has no such scale.
    """
    if name is None:
        return sweep
    if name not in sweep.scales:
        raise SweepError(f"the sweep has no scale {name!r}; it has {', '.join(sweep.scales) or 'none'}")
    scale = sweep.scales[name]
    changed = {
        key: value for key in ("tasks", "presets", "models", "seeds") if (value := getattr(scale, key)) is not None
    }
    settings = stack_layers(sweep.settings, scale.settings)
    per_task = {
        pattern: entry.model_copy(update={"settings": stack_layers(entry.settings, scale.settings)})
        for pattern, entry in sweep.per_task.items()
    }
    return sweep.model_copy(update={**changed, "settings": settings, "per_task": per_task})


def stack_layers(lower: Layer, upper: Layer) -> dict[str, Any]:
    """Return one layer of settings with another over it; both stay as they are."""
    merged: dict[str, Any] = {}
    configuration.merge_layer(merged, lower)
    configuration.merge_layer(merged, upper)
    return merged
