"""The configuration of a search: defaults < task card < file < environment < --set; unknown keys are errors.

A file is TOML with the sections below. An environment variable names a key as REWARDSMITH_SECTION__KEY, and
`--set section.key=value` does the same on the command line; values are read as TOML, else as text.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from rewardsmith import machine
from rewardsmith.errors import ConfigError
from rewardsmith.records import Count, Limits, Positive, TrainSettings

ENVIRONMENT_PREFIX = "REWARDSMITH_"
NONE = "none"
Layer = Mapping[str, Any]
"""Part of a configuration as read: section to key to value."""


class Section(BaseModel):
    """Base of the sections: frozen, and a key that does not exist is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, values: Any) -> Any:
        """TOML has no null: the word "none" stands for it."""
        if not isinstance(values, dict):
            return values
        return {key: None if value == NONE else value for key, value in values.items()}


class SearchSettings(Section):
    """How many programs to try, and how to choose among them."""

    designer: Literal["auto", "llm", "symbolic"] = "auto"
    """auto: the language model where one is named or a key is set, else the symbolic designer."""
    population: Count = 4
    """Candidates per generation."""
    generations: Count = 3
    seeds: Count = 1
    """Training seeds per candidate during the search."""
    final_seeds: Annotated[int, Ge(0)] = 3
    """Fresh training seeds for the reported figure and for the baseline; 0 switches both off."""
    seed: Annotated[int, Ge(0)] = 0
    """Seed of everything random in the search."""
    max_repairs: Annotated[int, Ge(0)] = 3
    """How often a program that the critic refuses goes back to its author."""
    env_steps: Count = 200_000
    """Environment steps of each training."""
    rungs: tuple[Annotated[float, Gt(0.0), Lt(1.0)], ...] = ()
    """Parts of a training at which the lower candidates of a generation end; none: every training is finished."""
    keep: Annotated[float, Gt(0.0), Le(1.0)] = 0.5
    """Part of a generation's candidates that goes on from a rung."""
    target_fitness: float | None = None
    """End the search once a candidate's fitness is above it with 95 % confidence."""
    baseline: bool = True
    """Train on the environment's own reward too, to compare with."""

    @property
    def trainings(self) -> int:
        """How many trainings there are at most, those of the report included."""
        return self.population * self.generations * self.seeds + self.final_seeds * (1 + self.baseline)


class EvaluationSettings(Section):
    """How policies are measured."""

    episodes: Count = 10
    """Episodes per candidate and training seed, on which selection is based."""
    final_episodes: Count = 20
    """Episodes per training seed for the reported figure, on seeds of their own."""
    probe_transitions: Annotated[int, Ge(16)] = 1024
    """Transitions recorded under random actions for the critic's dry run."""


class LlmSettings(Section):
    """Which language model, and how to ask it."""

    model: str | None = None
    """Its name, as the endpoint knows it; None takes that of a replayed ledger."""
    base_url: str | None = None
    """Of an OpenAI-compatible endpoint; None takes OPENAI_BASE_URL, else OpenAI's."""
    temperature: Annotated[float, Ge(0.0)] | None = 1.0
    """None leaves it to the model, as reasoning models demand."""
    max_tokens: Count | None = 8192
    """Longest answer; None leaves it to the endpoint."""
    timeout_s: Positive = 600.0
    retries: Annotated[int, Ge(0)] = 5
    price_in_usd: Annotated[float, Ge(0.0)] | None = None
    """Price of a million prompt tokens; None: unknown, and so is the cost."""
    price_out_usd: Annotated[float, Ge(0.0)] | None = None
    """Price of a million completion tokens."""
    replay: str | None = None
    """A ledger to answer from; a request that it lacks is an error."""
    replay_by: Literal["request", "position"] = "request"
    """request: the same words. position: the same role, sample and turn, whatever the words; another processor may
    train a little differently, and the figures in later prompts then differ in their last digits."""
    cache: str | None = None
    """A ledger to answer from; a request that it lacks is sent."""


class BudgetSettings(Section):
    """Where to stop; None is no limit."""

    cost_usd: Positive | None = None
    tokens: Count | None = None
    calls: Count | None = None
    env_steps: Count | None = None
    """Environment steps of all trainings of the search; the final ones are not counted."""
    wall_s: Positive | None = None
    """No new generation starts after this time."""


class Config(Section):
    """Everything that a search depends on beside its task."""

    search: SearchSettings = SearchSettings()
    training: TrainSettings = TrainSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    llm: LlmSettings = LlmSettings()
    budget: BudgetSettings = BudgetSettings()
    sandbox: Limits = Limits()
    jobs: Annotated[int, Ge(0)] = 0
    """Trainings at once; 0: one per core, as far as memory reaches."""

    @model_validator(mode="after")
    def _check_trainer(self) -> Config:
        if self.training.trainer == "fast" and self.training.activation != "tanh":
            raise ValueError("training.activation = 'relu' needs training.trainer = 'sb3': the fast update is for tanh")
        return self

    @property
    def slots(self) -> int:
        """How many jobs run at once."""
        return self.jobs or machine.slots(machine.cores(), machine.free_memory_mib())


def resolve(*layers: Layer) -> Config:
    """Merge layers, later ones over earlier ones, and check them.

    Raises:
        ConfigError: if a key is unknown (with the nearest one) or a value is not allowed.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merge(merged, layer)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError("; ".join(_complaint(detail) for detail in error.errors())) from error


def merge(into: dict[str, Any], layer: Layer) -> None:
    """Merge `layer` into `into`, section by section."""
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def from_file(path: Path) -> Layer:
    """Read a TOML file.

    Raises:
        ConfigError: if it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {str(path)!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def from_environment(environment: Mapping[str, str]) -> Layer:
    """Read the variables REWARDSMITH_SECTION__KEY, and REWARDSMITH_JOBS; others of that prefix are no settings.

    >>> from_environment({"REWARDSMITH_SEARCH__POPULATION": "8", "REWARDSMITH_JOBS": "1", "HOME": "/"})
    {'jobs': 1, 'search': {'population': 8}}
    """
    layer: dict[str, Any] = {}
    for name, text in sorted(environment.items()):
        keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if name.startswith(ENVIRONMENT_PREFIX) and (len(keys) > 1 or keys[0] in Config.model_fields):
            merge(layer, _nest(keys, _value(text)))
    return layer


def from_sets(assignments: Iterable[str]) -> Layer:
    """Read `section.key=value` assignments.

    >>> from_sets(["search.population=8", "llm.model=small"])
    {'search': {'population': 8}, 'llm': {'model': 'small'}}

    Raises:
        ConfigError: if an assignment has no `=`.
    """
    layer: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment!r}: write section.key=value, e.g. --set search.population=8")
        merge(layer, _nest(name.strip().split("."), _value(text.strip())))
    return layer


def to_toml(config: Config) -> str:
    """Return the configuration as TOML that reads back equal; a key without a value is the word "none"."""
    return tomli_w.dumps(_spell_none(config.model_dump(mode="json")))


def beside_defaults(config: Config) -> str:
    """Return as TOML what differs from the defaults; "" where nothing does."""
    return tomli_w.dumps(
        _differing(_spell_none(config.model_dump(mode="json")), _spell_none(Config().model_dump(mode="json")))
    )


def _differing(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    nested = {key: _differing(value, defaults[key]) for key, value in values.items() if isinstance(value, dict)}
    plain = {key: value for key, value in values.items() if key not in nested and value != defaults[key]}
    return plain | {key: value for key, value in nested.items() if value}


def _nest(keys: list[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _spell_none(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _spell_none(value) if isinstance(value, dict) else NONE if value is None else value
        for key, value in values.items()
    }


def _complaint(detail: Any) -> str:
    """Return one line for one of pydantic's complaints."""
    if not detail["loc"]:
        return str(detail["ctx"]["error"])
    location = [str(part) for part in detail["loc"]]
    name = ".".join(location)
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _keys(location[:-1])
        nearest = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"allowed are: {', '.join(known)}"
        return f"there is no setting {name!r}; {hint}"
    return f"{name} = {detail['input']!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _keys(sections: list[str]) -> list[str]:
    defaults: Any = Config().model_dump()
    for section in sections:
        defaults = defaults.get(section, {})
    return sorted(defaults)
