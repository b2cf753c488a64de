"""The configuration of a search: defaults < preset < task card < file < environment < --set; unknown keys are errors.

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
from annotated_types import Ge
from pydantic import (
    ValidationError,
    model_validator,
)

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import Limits, TrainSettings
from rewardsmith.spec.settings import (
    NONE,
    ROLES,
    AnalyzerSettings,
    BudgetSettings,
    CriticSettings,
    DesignerSettings,
    EvaluationSettings,
    EvolutionSettings,
    ExecutorSettings,
    FeedbackSettings,
    GateSettings,
    LimitSettings,
    LlmSettings,
    ModelSettings,
    Role,
    SearchSettings,
    Section,
)

ENVIRONMENT_PREFIX = "REWARDSMITH_"
Layer = Mapping[str, Any]
"""Part of a configuration as read: section to key to value."""


class Config(Section):
    """Everything that a search depends on beside its task."""

    preset: str = "smith"
    """The recipe that the settings begin with: a name that `rewardsmith presets` lists, or a TOML file."""
    search: SearchSettings = SearchSettings()
    evolution: EvolutionSettings = EvolutionSettings()
    training: TrainSettings = TrainSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    llm: LlmSettings = LlmSettings()
    designer: DesignerSettings = DesignerSettings()
    budget: BudgetSettings = BudgetSettings()
    executor: ExecutorSettings = ExecutorSettings()
    limits: LimitSettings = LimitSettings()
    sandbox: Limits = Limits()
    critic: CriticSettings = CriticSettings()
    gates: GateSettings = GateSettings()
    analyzer: AnalyzerSettings = AnalyzerSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Where curves are logged beside the run directory; both are extras: `pip install 'rewardsmith[tensorboard]'`."""
    jobs: Annotated[int, Ge(0)] = 0
    """Trainings at once; 0: one per core, as far as memory reaches."""

    @model_validator(mode="after")
    def _check_trainer(self) -> Config:
        if self.training.trainer == "fast" and self.training.activation != "tanh":
            raise ValueError("training.activation = 'relu' needs training.trainer = 'sb3': the fast update is for tanh")
        if self.training.trainer in ("sac", "td3") and not self.evaluation.deterministic:
            raise ValueError(
                f"evaluation.deterministic = false is not for training.trainer = {self.training.trainer!r}"
            )
        return self

    @model_validator(mode="after")
    def _check_executor(self) -> Config:
        if self.executor.kind != "local" and self.search.rungs:
            raise ValueError("search.rungs needs executor.kind = 'local': elsewhere trainings run through")
        return self

    @model_validator(mode="after")
    def _check_budget(self) -> Config:
        steps, least = self.budget.env_steps, self.search.steps_of_a_generation
        if steps is not None and steps < least:
            raise ValueError(f"budget.env_steps = {steps:,} is less than one generation takes, which is {least:,}")
        return self

    @model_validator(mode="after")
    def _check_designer(self) -> Config:
        conflict = _told_in_vain(self)
        if conflict:
            raise ValueError(conflict)
        return self

    @model_validator(mode="after")
    def _check_evolution(self) -> Config:
        conflict = _conflict(self.search, self.evolution)
        if conflict:
            raise ValueError(conflict)
        return self

    @model_validator(mode="after")
    def _check_critic(self) -> Config:
        if self.critic.review and not self.search.max_repairs:
            raise ValueError("critic.review = true needs search.max_repairs of 1 or more: objections go to the author")
        return self

    @model_validator(mode="after")
    def _check_frames(self) -> Config:
        if self.analyzer.frames and not self.analyzer.model_reads:
            raise ValueError("analyzer.frames are for the model that reads episodes: set analyzer.model_reads = true")
        if self.feedback.judge_frames and self.feedback.rank != "judge":
            raise ValueError("feedback.judge_frames are for the judge: they need --fitness judge")
        return self

    @model_validator(mode="after")
    def _check_feedback(self) -> Config:
        if self.feedback.rank == "metric" and self.feedback.blend:
            raise ValueError("feedback.blend is what the metric counts beside comparisons: it needs feedback.rank")
        if self.feedback.rank != "metric" and self.search.rungs:
            raise ValueError(f"search.rungs end trainings by the metric, and feedback.rank is {self.feedback.rank!r}")
        return self

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who asks a language model in this search."""
        asks: dict[Role, bool] = {
            "designer": self.search.designer == "llm",
            "critic": self.critic.review,
            "analyzer": self.analyzer.model_reads,
            "judge": self.feedback.rank == "judge",
        }
        return tuple(role for role, does in asks.items() if does)


def _conflict(search: SearchSettings, evolution: EvolutionSettings) -> str | None:
    """Return what contradicts in how a search goes on; None where nothing does."""
    special = evolution.weight_slots + evolution.crossover
    if evolution.islands > search.population:
        what = f"evolution.islands = {evolution.islands} needs a search.population of at least as many slots"
        return f"{what}; it is {search.population}"
    if special > search.population:
        what = f"evolution.weight_slots and evolution.crossover take {special} slots of a generation"
        return f"{what}, and search.population gives {search.population}"
    if search.strategy == "mcts":
        generational = {
            "search.rungs": search.rungs,
            "evolution.islands": evolution.islands > 1,
            "evolution.crossover": evolution.crossover,
            "evolution.weight_slots": evolution.weight_slots,
            "evolution.restart_after": evolution.restart_after,
            "evolution.novelty": evolution.novelty,
            "evolution.selection": evolution.selection != "incumbent",
        }
        named = ", ".join(name for name, given in generational.items() if given)
        if named:
            return f"{named} belongs to search.strategy = 'generations'; leave it out with 'mcts'"
    if search.ensemble == 1:
        return "search.ensemble = 1: an ensemble has at least 2 programs; 0 switches it off"
    if search.ensemble > search.population * search.generations:
        return f"search.ensemble = {search.ensemble} needs as many candidates; the search has fewer"
    if search.ensemble and not search.final_seeds:
        return f"search.ensemble = {search.ensemble} is measured at the end: search.final_seeds must not be 0"
    return None


def _told_in_vain(config: Config) -> str | None:
    """Return which settings of the designer contradict others; None where none does."""
    told, evolution = config.designer, config.evolution
    given = [name for name in DesignerSettings.model_fields if getattr(told, name) != getattr(DesignerSettings(), name)]
    if config.search.designer == "symbolic" and given:
        return (
            f"search.designer = 'symbolic' reads no prompt, so designer.{given[0]} changes nothing; leave it out, take "
            "--preset smith, or --designer llm"
        )
    if told.conversation and not told.history:
        return "designer.conversation = true tells earlier turns: designer.history must be 1 or more"
    if told.conversation and evolution.crossover:
        return "designer.conversation = true tells of one parent: evolution.crossover must be 0"
    if told.form == "sparse-dense" and told.edits == "diff":
        return "designer.edits = 'diff' is for designer.form = 'terms': the other form is put together anew each time"
    if told.form == "sparse-dense" and evolution.weight_slots:
        return "designer.form = 'sparse-dense' has fixed weights: evolution.weight_slots must be 0"
    if told.form == "terms" and {"sparse_weight", "dense_weight"} & set(given):
        return "designer.sparse_weight and designer.dense_weight belong to designer.form = 'sparse-dense'"
    return None


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


def refuse_contradictions(options: Layer, sets: Layer, name: str = "") -> None:
    """Refuse an assignment of --set that gives a setting another value than an option does.

    Args:
        options: as the command's options give them; of the part `name`.
        sets: as `from_sets` reads them; likewise.
        name: of the part that is looked at, with a dot behind it.

    Raises:
        ConfigError: if there is one.
    """
    for key, value in sets.items():
        given = options.get(key)
        if isinstance(value, Mapping) and isinstance(given, Mapping):
            refuse_contradictions(given, value, f"{name}{key}.")
        elif given is not None and given != value:
            setting = f"{name}{key}"
            raise ConfigError(f"{setting} is given twice: {given!r} by the command and {value!r} by --set; say it once")


def to_toml(config: Config) -> str:
    """Return the configuration as TOML that reads back equal; a key without a value is the word "none"."""
    return tomli_w.dumps(_spell_none(config.model_dump(mode="json")))


def beside_defaults(config: Config) -> str:
    """Return as TOML what differs from the defaults; "" where nothing does."""
    return tomli_w.dumps(
        _differing(_spell_none(config.model_dump(mode="json")), _spell_none(Config().model_dump(mode="json")))
    )


def _differing(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    nested = {key: _differing(value, defaults.get(key, {})) for key, value in values.items() if isinstance(value, dict)}
    plain = {key: value for key, value in values.items() if key not in nested and value != defaults.get(key, NONE)}
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
        elsewhere = [f"{section}.{location[-1]}" for section in _keys([]) if location[-1] in _keys([section])]
        nearest = elsewhere or difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {' or '.join(map(repr, nearest))}?" if nearest else f"allowed are: {', '.join(known)}"
        return f"there is no setting {name!r}; {hint}"
    return f"{name} = {detail['input']!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _keys(sections: list[str]) -> list[str]:
    if sections[:2] == ["llm", "roles"]:
        return sorted(ROLES if len(sections) == 2 else ModelSettings.model_fields)
    defaults: Any = Config().model_dump()
    for section in sections:
        defaults = defaults.get(section, {})
    return sorted(defaults) if isinstance(defaults, dict) else []
