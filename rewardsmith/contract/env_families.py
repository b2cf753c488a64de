"""Families of environments that need further packages, and the command that installs them.

A family is known by its environments' ids, so nothing is imported to tell what is missing. `FAMILIES` is the table;
what another family needs beside its row is listed in docs/design.md, "Add a family of environments".
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import JsonValue


@dataclass(frozen=True)
class FamilyPackage:
    """A package that a family needs, and the versions of it that the family runs on."""

    name: str
    """As pip knows it."""
    at_least: str = ""
    """The oldest version; "" for any."""
    below: str = ""
    """The first version that does not work; "" for none."""

    def describe_problem(self) -> str | None:
        """Return in words what is wrong with the installed version; None where it fits."""
        required = ", ".join(
            f"{sign} {version}" for sign, version in ((">=", self.at_least), ("<", self.below)) if version
        )
        try:
            version = importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            return f"{self.name} is not installed"
        outside = (self.at_least and _parse_release(version) < _parse_release(self.at_least)) or (
            self.below and _parse_release(version) >= _parse_release(self.below)
        )
        return f"{self.name} {version} is installed, it runs on {self.name} {required}" if outside else None


@dataclass(frozen=True)
class EnvFamily:
    """A family of environments that needs further packages."""

    title: str
    extra: str
    """Extra of this package: `pip install 'rewardsmith[extra]'`."""
    ids: str
    """Pattern that the beginning of an environment's id matches."""
    module: str
    """Module whose import registers the ids with Gymnasium."""
    packages: tuple[FamilyPackage, ...]
    own_venv: str = ""
    """Why it cannot share a virtual environment with the newest packages; "" where it can."""
    is_resident: bool = False
    """Whether a process that stays does its jobs, one after another, and no fork: it computes on a GPU."""

    def list_problems(self) -> Iterator[str]:
        """Yield each package that is missing or has an unsuitable version, in words."""
        for package in self.packages:
            complaint = package.describe_problem()
            if complaint:
                yield complaint


METAWORLD_SEED = 0
"""Seed of a task's 50 goals: Meta-World draws them once, and each episode takes one of the 50."""
_METAWORLD_TASK = re.compile(r"Meta-World/(.+-v\d+)")
_OLD_MUJOCO = "this family needs an older MuJoCo than others, so give it a virtual environment of its own"
# What gymnasium[box2d] asks for; both install the module Box2D.
_BOX2D = FamilyPackage("box2d" if sys.version_info < (3, 14) else "box2d-py")
_ROBOTICS = FamilyPackage("gymnasium-robotics", at_least="1.4")
_ADAPTERS = "rewardsmith.worker.envs.adapters"
_MJLAB = "mjlab"

FAMILIES: tuple[EnvFamily, ...] = (
    EnvFamily(
        "Meta-World",
        "metaworld",
        r"Meta-World/",
        "metaworld",
        (FamilyPackage("metaworld", at_least="3.0"), FamilyPackage("mujoco", at_least="3.3", below="3.3.1")),
        _OLD_MUJOCO,
    ),
    EnvFamily(
        "Gymnasium-Robotics",
        "robotics",
        r"Fetch|HandReach|HandManipulate|FrankaKitchen",
        "gymnasium_robotics",
        (_ROBOTICS, FamilyPackage("mujoco", below="3.12")),
        _OLD_MUJOCO,
    ),
    EnvFamily("Gymnasium-Robotics", "robotics", r"AdroitHand|PointMaze_|AntMaze_", "gymnasium_robotics", (_ROBOTICS,)),
    EnvFamily(
        "the DeepMind Control Suite",
        "dm-control",
        r"dm_control/",
        "shimmy",
        (
            FamilyPackage("shimmy", at_least="2.0"),
            FamilyPackage("dm_control", at_least="1.0.28"),
            FamilyPackage("mujoco", below="4"),
        ),
        _OLD_MUJOCO,
    ),
    EnvFamily(
        "Crafter",
        "crafter",
        r"rewardsmith/Crafter",
        f"{_ADAPTERS}.crafter",
        (FamilyPackage("crafter", at_least="1.8"),),
    ),
    EnvFamily(
        "MiniHack",
        "minihack",
        r"rewardsmith/MiniHack",
        f"{_ADAPTERS}.minihack",
        (
            FamilyPackage("minihack", at_least="1.0"),
            FamilyPackage("nle", at_least="1.2"),
            FamilyPackage("setuptools", below="81"),
        ),
        "NLE pins Gymnasium 1.2.0, so give it a virtual environment of its own",
    ),
    EnvFamily(
        "ManiSkill 3",
        "maniskill",
        r"rewardsmith/ManiSkill",
        f"{_ADAPTERS}.maniskill",
        (FamilyPackage("mani_skill", at_least="3.0"), FamilyPackage("sapien", at_least="3.0")),
        "and a Vulkan device: a GPU's, or Mesa's software driver from 24.3 on",
    ),
    EnvFamily("MiniGrid", "minigrid", r"MiniGrid-|BabyAI-", "minigrid", (FamilyPackage("minigrid", at_least="3.0"),)),
    EnvFamily(
        "highway-env",
        "highway",
        r"(highway|merge|roundabout|parking|intersection|racetrack|exit|u-turn|two-way|lane-keeping)(-[\w-]+)?-v\d",
        "highway_env",
        (FamilyPackage("highway-env", at_least="1.10"),),
    ),
    EnvFamily(
        "PushT",
        "pusht",
        r"gym_pusht/",
        "gym_pusht",
        (FamilyPackage("gym-pusht", at_least="0.1.5"), FamilyPackage("pymunk", below="7")),
    ),
    EnvFamily(
        "panda-gym",
        "panda",
        r"Panda(Reach|Push|Slide|PickAndPlace|Stack|Flip)",
        "panda_gym",
        (FamilyPackage("panda-gym", at_least="3.0"), FamilyPackage("pybullet")),
    ),
    EnvFamily(
        _MJLAB,
        "mjlab",
        r"Mjlab-",
        "mjlab",
        (
            FamilyPackage("mjlab", at_least="1.6", below="1.7"),
            FamilyPackage("mujoco", at_least="3.11", below="3.12"),
            FamilyPackage("rsl-rl-lib", at_least="5.4"),
        ),
        "it runs on MuJoCo 3.11 alone, so give it a virtual environment of its own",
        is_resident=True,
    ),
    EnvFamily("Gymnasium's Box2D", "box2d", r"LunarLander|BipedalWalker|CarRacing", "gymnasium", (_BOX2D,)),
)
"""The first row whose pattern fits an id is its family."""


def find_family(env_id: str) -> EnvFamily | None:
    """Return the family of an environment; None for those that need nothing more.

    >>> find_family("Meta-World/reach-v3").extra, find_family("Hopper-v5")
    ('metaworld', None)
    """
    module, _, bare = env_id.rpartition(":")
    package = module.partition(".")[0]
    # Another package may register the same name.
    own = (family for family in FAMILIES if package in ("", family.module.partition(".")[0]))
    return next((family for family in own if re.match(family.ids, bare)), None)


def require_packages(env_id: str) -> None:
    """Make sure that the packages of an environment's family are installed; imports none of them.

    Raises:
        TaskError: if one is missing or too new: the line says which, and what installs it.
    """
    family = find_family(env_id)
    missing = list(family.list_problems()) if family else []
    if family and missing:
        where = f" ({family.own_venv})" if family.own_venv else ""
        raise TaskError(
            f"{env_id!r} is of {family.title}: {'; '.join(missing)}; pip install 'rewardsmith[{family.extra}]'{where}"
        )


def is_family_installed(env_id: str) -> bool:
    """Return whether the packages of an environment's family are installed; True for one without a family."""
    family = find_family(env_id)
    return family is None or not any(family.list_problems())


def is_resident(env_id: str) -> bool:
    """Return whether a process that stays does an environment's jobs, and no fork.

    >>> is_resident("mjlab:Mjlab-Cartpole-Balance"), is_resident("Hopper-v5")
    (True, False)
    """
    family = find_family(env_id)
    return family is not None and family.is_resident


def resolve_make_arguments(env_id: str, kwargs: Mapping[str, JsonValue]) -> tuple[str, dict[str, JsonValue]]:
    """Return the id and the keyword arguments with which `gymnasium.make` builds an environment without rewardsmith.

    The games behind an adapter of rewardsmith's are made by its module, which has to be installed.

    >>> resolve_make_arguments("Meta-World/reach-v3", {}), resolve_make_arguments("FetchReach-v4", {})[0]
    (('metaworld:Meta-World/MT1', {'env_name': 'reach-v3', 'seed': 0}), 'gymnasium_robotics:FetchReach-v4')
    """
    if env_id.startswith("robot/"):
        return "rewardsmith.worker.envs.robot_gym:rewardsmith/Robot-v0", dict(kwargs)
    family = find_family(env_id)
    if family is None or ":" in env_id:
        return env_id, dict(kwargs)
    task = _METAWORLD_TASK.fullmatch(env_id)
    if task:
        return "metaworld:Meta-World/MT1", {"env_name": task[1], "seed": METAWORLD_SEED, **kwargs}
    return f"{family.module}:{env_id}", dict(kwargs)


def _parse_release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, in which 3.3 and 3.3.0 are the same.

    >>> _parse_release("3.12.0rc1") == _parse_release("3.12") > _parse_release("3.3.0")
    True
    """
    numbers = [int(number) for number in re.split(r"[^\d.]", version, maxsplit=1)[0].split(".") if number]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
