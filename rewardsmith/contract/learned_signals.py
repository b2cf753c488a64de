"""Options of the providers of learned signals: checked where a user writes them, and read again in the worker.

Each provider has a model whose fields are the keys of `[signals.<name>]` beside provider, unit, shape and meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import LearnedSignal, Subgoal
from rewardsmith.contract.records.demonstrations import DemonstratedStages
from rewardsmith.contract.text import suggest_names

if TYPE_CHECKING:
    from rewardsmith.contract.fitness.state_condition import StateCondition


class ProviderOptions(BaseModel):
    """Options of a provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def default_meaning(self) -> str:
        """Line that prompts and reports show where the user wrote no meaning."""
        raise NotImplementedError

    @property
    def lacks_goal(self) -> bool:
        """Whether a language model is asked with a goal that is not written here."""
        return False

    def check_contents(self, where: str) -> None:
        """Refuse options that no environment could use.

        Raises:
            TaskError: if there are some.
        """


class ImageTextOptions(ProviderOptions):
    """Options of `image_text`: the likeness of a picture to a sentence.

    Rocamonde et al., "Vision-Language Models are Zero-Shot Reward Models for Reinforcement Learning", 2023
    (arXiv:2310.12921), section 3.2.
    """

    text: str = Field(min_length=1)
    """The goal in a sentence, as a picture of it is described: "a humanoid robot kneeling"."""
    baseline: str | None = None
    """The ordinary state: "a humanoid robot". Where given, what does not lead from it to the goal counts less."""
    alpha: float = Field(default=0.5, ge=0.0, le=1.0)
    """Strength of that: 0 is the plain likeness, 1 looks along the line from the baseline to the goal alone."""
    model: str = "openai/clip-vit-base-patch32"
    """A folder with a CLIP of transformers, or its id in the library's cache or on the Hugging Face Hub."""
    every: int = Field(default=8, ge=1)
    """A picture at every so many steps of an episode; the value is held between."""

    @property
    def default_meaning(self) -> str:
        """Line that prompts and reports show where the user wrote no meaning."""
        held = f", looked at every {self.every} steps" if self.every > 1 else ""
        return f"likeness of the picture to {self.text!r}, about 0 to 1, higher is more alike{held}"


class SubgoalOptions(ProviderOptions):
    """Options of `subgoals`: how many of them an episode has reached, in their order.

    After Pignatelli et al., "Assessing the Zero-Shot Capabilities of LLMs for Action Evaluation in RL" (CALM), 2024
    (arXiv:2409.12798), in which a language model splits a task into subgoals and tells where they are reached.
    """

    subgoals: tuple[Subgoal, ...] | Literal["auto"] = "auto"
    """auto: the designer's model writes them, once, before the search."""
    goal: str | None = None
    """Goal that the model splits into subgoals; None: the task's sentence."""
    most: int = Field(default=6, ge=1, le=20)
    """Largest number of subgoals that the model may write."""

    @property
    def lacks_goal(self) -> bool:
        """Whether a model is to write the subgoals and no goal is written here."""
        return self.subgoals == "auto" and self.goal is None

    def check_contents(self, where: str) -> None:
        """Refuse an empty list, and conditions that do not parse.

        Raises:
            TaskError: if there is such a condition, or no subgoal.
        """
        if not self.subgoals:
            raise TaskError(f'{where}: subgoals is empty; list some, or write subgoals = "auto"')
        self.parse_conditions(where)

    def parse_conditions(self, where: str) -> tuple[StateCondition, ...]:
        """Return the conditions of the subgoals in their order; none where a model is still to write them.

        Raises:
            TaskError: if one does not parse.
        """
        from rewardsmith.contract.fitness.state_condition import StateCondition

        subgoals = () if self.subgoals == "auto" else self.subgoals
        return tuple(StateCondition(one.condition, f"{where}: the condition of {one.text!r}") for one in subgoals)

    @property
    def default_meaning(self) -> str:
        """Line that prompts and reports show where the user wrote no meaning."""
        if self.subgoals == "auto":
            return "number of subgoals that the episode has reached so far, in their order"
        listed = "; ".join(f"{number} {entry.text}" for number, entry in enumerate(self.subgoals, start=1))
        return f"number of subgoals that the episode has reached so far, in this order: {listed}"


class LabelledOptions(ProviderOptions):
    """Options of `labelled`: how helpful a language model finds what has just happened.

    Zheng et al., "Online Intrinsic Rewards for Decision Making Agents from Large Language Model Feedback" (ONI), 2024
    (arXiv:2410.23022).
    """

    text: str | None = None
    """Entry of the environment's `info` whose text is the caption of a step, such as "message"."""
    events: tuple[str, ...] = ()
    """Signals, or patterns of their names such as "did_*": "NAME rises" and "NAME falls" are captions, too."""
    model: Literal["hashing", "classification", "ranking"] = "hashing"
    """Model that labels are distilled into. hashing: a table, 1 for a caption that was called helpful. classification:
    a logistic model of the words, 1 where helpful is likelier. ranking: captions are compared in pairs, and a
    Bradley-Terry model of the words gives 0 below their median and towards 1 above it."""
    goal: str | None = None
    """Goal that captions are to help with; None: the task's sentence."""
    calls: int = Field(default=100, ge=1)
    """Most calls of the language model in a run."""
    batch: int = Field(default=20, ge=1, le=40)
    """Captions, or pairs of them, in a call."""
    repeats: float = Field(default=3.0, ge=0.0)
    """A caption's value is divided by its number in the episode to this power, as in Motif (arXiv:2310.00166); with 0 a
    policy may repeat one helpful event for ever."""

    @model_validator(mode="after")
    def _check_source(self) -> LabelledOptions:
        if self.text is None and not self.events:
            raise ValueError('say what captions are made of: text = "message" or events = ["NAME", ...]')
        return self

    @property
    def lacks_goal(self) -> bool:
        """Whether no goal is written here."""
        return self.goal is None

    @property
    def default_meaning(self) -> str:
        """Line that prompts and reports show where the user wrote no meaning."""
        what = " and ".join([*([f"the text {self.text!r}"] if self.text else []), *self.events])
        fades = ", less at each repetition in an episode" if self.repeats else ""
        return f"how helpful a language model finds what just happened ({what}), 0 to 1{fades}; 0 where nothing did"


class DemonstrationOptions(ProviderOptions):
    """Options of `demonstrations`: how far a state is along the stages of recorded episodes.

    Sermanet et al., "Unsupervised Perceptual Rewards for Imitation Learning", 2017 (arXiv:1612.06699).
    """

    demo: tuple[str, ...] = Field(min_length=1)
    """Files with recorded episodes: episodes.npz of an evaluation, or what `rewardsmith record` writes."""
    stages: int = Field(default=4, ge=2, le=20)
    """Number of stages that each episode is cut into."""
    signals: tuple[str, ...] = ()
    """Signals that count; none: all that were recorded and that a program may read."""
    fitted: DemonstratedStages | None = None
    """Stages that were fitted to the files; written by rewardsmith."""

    @property
    def default_meaning(self) -> str:
        """Line that prompts and reports show where the user wrote no meaning."""
        stages = f"progress along the {self.stages} stages of demonstrations, from 0 in the first to 1 in the last"
        return f"{stages}; as a reward, its change in a step"


OPTIONS: Mapping[str, type[ProviderOptions]] = {
    "image_text": ImageTextOptions,
    "subgoals": SubgoalOptions,
    "labelled": LabelledOptions,
    "demonstrations": DemonstrationOptions,
}
"""Provider to its options."""
Options = TypeVar("Options", bound=ProviderOptions)


def read_options(kind: type[Options], signal: LearnedSignal) -> Options:
    """Return the options of a learned signal.

    Raises:
        TaskError: if one is unknown or wrong.
    """
    return parse_options(kind, signal.options, f"learned signal {signal.name!r}")


def parse_options(kind: type[Options], entries: Mapping[str, Any], where: str) -> Options:
    """Return the options that a user wrote.

    Raises:
        TaskError: if one is unknown (with the nearest), missing or wrong.
    """
    try:
        options = kind.model_validate(dict(entries))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        raise TaskError(f"{where}: {_describe_fault(kind, fault)}") from error
    options.check_contents(where)
    return options


def check_provider(name: str, where: str) -> None:
    """Make sure that there may be a provider of this name.

    Raises:
        TaskError: if there is none, with the nearest.
    """
    if name in OPTIONS or ":" in name:
        return
    hint = suggest_names(name, OPTIONS)
    raise TaskError(f'{where}: there is no provider {name!r} (one of your own is "module:Class"); {hint}')


def _describe_fault(kind: type[ProviderOptions], fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    known = list(kind.model_fields)
    if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
        return f"there is no option {place!r}; {suggest_names(place, known)}"
    if fault["type"] == "missing":
        return f"the option {place!r} is missing"
    return f"{place} = {fault['input']!r}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
