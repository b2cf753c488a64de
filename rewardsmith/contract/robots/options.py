"""Options of an environment that is made from a robot's model file; docs/robots.md describes them.

They travel as the keyword arguments of an environment whose id is `robot/<name>`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, JsonValue, load
from rewardsmith.contract.text import suggest_names

if TYPE_CHECKING:
    from pydantic import ValidationError

ROBOT_NAMESPACE = "robot/"
"""Beginning of the ids of these environments."""
Range = tuple[float, float]
_FORBID: Mapping[str, Any] = {"extra": "forbid"}


@dataclass(frozen=True)
class Randomisation:
    """Ranges from which each episode draws a body and a world of its own; None leaves the model's."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _FORBID

    friction: Range | None = None
    """Factor on the sliding friction of everything."""
    mass: Range | None = None
    """Factor on the masses and inertias of the robot's bodies, one for each body."""
    motor_strength: Range | None = None
    """Factor on the forces of the actuators, one for each."""
    latency: tuple[int, int] | None = None
    """Control steps after which an action takes effect."""
    pushes: Range | None = None
    """Change of the root's horizontal velocity in m/s, every 2 s, in a random direction."""
    evaluation: bool = False
    """Whether evaluations and videos draw too; else they have the model as it is."""


@dataclass(frozen=True)
class RobotOptions:
    """Options with which an environment is made from a model file."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _FORBID

    model: str
    """The file, relative to the folder that the store keeps under the digest."""
    digest: str = ""
    """SHA-256 of the model file and of the files that it names."""
    action: Literal["torque", "position", "delta"] | None = None
    """None: position where the model has position actuators, else torque."""
    action_scale: float | None = None
    """Share of an actuator's range that an action of 1 adds to the centre: 0.25 (position), 0.05 (delta)."""
    control_hz: float = 50.0
    """Actions per second."""
    start: str = "home"
    """Keyframe; the model's rest if it has no `home`."""
    start_noise: float = 0.05
    """Largest change of each joint at the start, in rad or m, and of its velocity per second."""
    start_ranges: dict[str, Range] = field(default_factory=dict)
    """Joint, or coordinate x, y, z or yaw of a free joint ("cube.x"), to the range from which its start is drawn."""
    end: str | None = None
    """Condition over signals that ends the episode; None for the default of the model; "" for no such condition."""
    root: str | None = None
    """The robot's main body; None for the body of its free joint."""
    randomisation: Randomisation | None = None


def is_robot(env: EnvSpec) -> bool:
    """Return whether an environment is made from a model file."""
    return env.env_id.startswith(ROBOT_NAMESPACE)


def read_robot_options(kwargs: Mapping[str, JsonValue], where: str) -> RobotOptions:
    """Return the options in the keyword arguments of an environment.

    >>> read_robot_options({"model": "a.xml", "action": "delta"}, "a.xml").action
    'delta'

    Args:
        kwargs: of the environment.
        where: they stand, for the message.

    Raises:
        TaskError: if one is unknown or wrong.
    """
    from pydantic import ValidationError

    try:
        options = load(RobotOptions, dict(kwargs))
    except ValidationError as error:
        raise TaskError(f"{where}: {_describe_fault(error)}") from error
    fault = _find_wrong_number(options) or _find_wrong_range(options)
    if fault:
        raise TaskError(f"{where}: {fault}")
    return options


def select_evaluation_options(env: EnvSpec) -> EnvSpec:
    """Return an environment as evaluations and videos have it: without randomisation, unless its card wants that."""
    randomisation = env.kwargs.get("randomisation") if is_robot(env) else None
    if not isinstance(randomisation, Mapping) or randomisation.get("evaluation"):
        return env
    return replace(env, kwargs={key: value for key, value in env.kwargs.items() if key != "randomisation"})


def _describe_fault(error: ValidationError) -> str:
    """Return the first fault in one line, with the nearest key where a key is unknown."""
    fault = error.errors(include_url=False, include_context=False)[0]
    place = [str(part) for part in fault["loc"]]
    table = Randomisation if place[0] == "randomisation" else RobotOptions
    name = ".".join(place) if table is RobotOptions else f"[randomisation] {'.'.join(place[1:])}"
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = [entry.name for entry in fields(table)]
        return f"there is no option {name!r}; {suggest_names(place[-1], known)}"
    return f"{name} = {fault['input']!r}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"


def _find_wrong_number(options: RobotOptions) -> str | None:
    if not 0.0 < options.control_hz <= 10_000.0:
        return f"control_hz is {options.control_hz:g}; actions per second are more than 0 and at most 10,000"
    if options.action_scale is not None and not 0.0 < options.action_scale <= 10.0:
        return (
            f"action_scale is {options.action_scale:g}; it is a share of an actuator's range, more than 0, at most 10"
        )
    if not 0.0 <= options.start_noise < math.inf:
        return f"start_noise is {options.start_noise:g}; it is 0 or more, in rad or m"
    return None


def _find_wrong_range(options: RobotOptions) -> str | None:
    ranges: dict[str, Range | None] = {f"start_ranges.{name}": pair for name, pair in options.start_ranges.items()}
    drawn = options.randomisation or Randomisation()
    least = {"friction": 0.0, "mass": 0.01, "motor_strength": 0.0, "latency": 0, "pushes": 0.0}
    ranges |= {name: getattr(drawn, name) for name in least}
    for name, pair in ranges.items():
        if pair is None:
            continue
        low, high = pair
        if not low <= high or not math.isfinite(low) or not math.isfinite(high):
            return f"{name} = [{low:g}, {high:g}]: a range is two finite numbers, the lower one first"
        if low < least.get(name, -math.inf):
            return f"{name} = [{low:g}, {high:g}]: no value below {least[name]:g} is possible"
    return None
