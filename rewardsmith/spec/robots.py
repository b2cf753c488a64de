"""Robots as people name them: a model's file, a robot that ships with the package, or one of the MuJoCo Menagerie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.contract.robots import ROBOT_NAMESPACE, read_robot_options, store
from rewardsmith.contract.text import suggest_names
from rewardsmith.spec.robot_files import MODEL_SUFFIXES, ModelFiles, collect_model_files

MENAGERIE = "menagerie:"
"""Beginning of the name of a robot of the Menagerie: menagerie:unitree_go1, menagerie:unitree_go1/scene_mjx."""
PLAIN_NAMES = ("", "scene", "robot", "model", "xml", "xmls", "mjcf", "urdf", "models", "assets")
"""Names of files and folders that say nothing of the robot."""
EPISODE_S = 10.0
"""Default length of an episode, in seconds."""

OTHER_FORMATS = {
    ".xacro": "it is a template, from which `xacro FILE -o robot.urdf` makes one",
    ".sdf": "convert it to URDF or MJCF",
    ".usd": "convert it to MJCF or URDF",
    ".usda": "convert it to MJCF or URDF",
    ".mjb": "it is a compiled model; give the file that it was compiled from",
}
"""Endings of robots' files that MuJoCo's importers do not read, and what helps."""


def names_robot(name: str) -> bool:
    """Return whether a name is that of a robot.

    >>> [names_robot(name) for name in ("go1/scene.xml", "menagerie:unitree_go1", "quadruped", "Ant-v5")]
    [True, True, True, False]
    """
    return (
        name.lower().endswith((*MODEL_SUFFIXES, *OTHER_FORMATS))
        or name.startswith(MENAGERIE)
        or name in list_shipped_robots()
    )


def list_shipped_robots() -> list[str]:
    """Return the names of the robots that ship with the package."""
    return sorted(path.stem for path in store.find_shipped_robots().glob("*.xml"))


def make_robot_env(robot: str, options: Mapping[str, Any], base: Path, where: str) -> EnvSpec:
    """Return the environment of a robot, whose files are kept in the store.

    Args:
        robot: as the user names it; a path is relative to `base`.
        options: of the environment but for the model and its digest.
        base: folder of the card, or where the user is.
        where: the options stand, for messages.

    Raises:
        TaskError: if there is no such robot, its files cannot be read, or an option is wrong.
    """
    name, files = find_robot_files(robot, base)
    digest = store.digest_files(files.folder, files.names)
    if files.folder != store.find_shipped_robots().resolve():
        store.add_to_store(files.folder, files.names, digest)
    kwargs = {"model": files.model, "digest": digest, **options}
    checked = read_robot_options(kwargs, where)
    limit = round(EPISODE_S * checked.control_hz) if "control_hz" in options else None
    return EnvSpec(f"{ROBOT_NAMESPACE}{name}", kwargs, max_episode_steps=limit)


def find_robot_files(robot: str, base: Path) -> tuple[str, ModelFiles]:
    """Return the name and the files of a robot.

    Raises:
        TaskError: if there is no such robot, or its files cannot be read.
    """
    fault = _explain_other(robot, base)
    if fault:
        raise TaskError(fault)
    if robot.startswith(MENAGERIE):
        name, _, entry = robot.removeprefix(MENAGERIE).partition("/")
        return _clean_name(name), collect_model_files(_find_in_menagerie(name, entry or None))
    if robot in list_shipped_robots():
        return robot, collect_model_files(store.find_shipped_robots() / f"{robot}.xml")
    if not robot.lower().endswith(MODEL_SUFFIXES):
        hint = suggest_names(robot, list_shipped_robots())
        raise TaskError(
            f"{robot!r} names no robot: give an MJCF or URDF file (.xml, .urdf), menagerie:NAME for one of the"
            f" MuJoCo Menagerie, or one of ours; {hint}"
        )
    path = base / Path(robot).expanduser()
    # Most models come as a robot and a scene with the ground; a folder has the robot's name.
    named = [path.stem, *(folder.name for folder in path.resolve().parents)]
    stem = next((name for name in named if name.lower() not in PLAIN_NAMES), "robot")
    return _clean_name(stem), collect_model_files(path)


def _explain_other(robot: str, base: Path) -> str | None:
    """Return what helps where a name is a folder, an address or a file of another format; None where it is none."""
    if "://" in robot:
        return (
            f"{robot!r} is an address, and a robot is a file on this machine: download it with the files that it names"
        )
    suffix = Path(robot.lower()).suffix
    if suffix in OTHER_FORMATS:
        return f"{robot!r} is no MJCF or URDF file: {OTHER_FORMATS[suffix]}"
    path = base / Path(robot).expanduser()
    if robot not in list_shipped_robots() and path.is_dir():
        inside = sorted(
            file.name for file in path.iterdir() if file.is_file() and file.name.lower().endswith(MODEL_SUFFIXES)
        )[:5]
        if not inside:
            return f"{robot!r} is a folder, and it holds no MJCF or URDF file"
        return f"{robot!r} is a folder: give one of its files: {', '.join(inside)}"
    return None


def _find_in_menagerie(name: str, entry: str | None) -> Path:
    """Return a model's file of the Menagerie, downloaded on first use.

    Raises:
        TaskError: if the package is not installed, has no such robot, or cannot download it.
    """
    try:
        import mujoco_menagerie
    except ModuleNotFoundError as error:
        raise TaskError(
            f"{MENAGERIE}{name} needs the package mujoco-menagerie; pip install 'rewardsmith[menagerie]', or give the"
            " robot's file"
        ) from error
    try:
        return Path(mujoco_menagerie.get(name).xml(entry))
    except mujoco_menagerie.DownloadError as error:
        raise TaskError(
            f"{MENAGERIE}{name} is not on this machine and cannot be downloaded: {_first_line(error)}; run"
            f" `mujoco-menagerie prefetch {name}` where there is a network, or set MENAGERIE_ROOT to a checkout of"
            " mujoco_menagerie"
        ) from error
    except mujoco_menagerie.MenagerieError as error:
        raise TaskError(f"{MENAGERIE}{name}: {_first_line(error)} `mujoco-menagerie names` lists them") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _clean_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "robot"
