"""Import path of the Python processes that rewardsmith starts: from where they import modules, and from where never.

A run directory may come from anybody, and the current folder may be one. So every process is started with `-P`, which
keeps the current folder off the path, and with a `PYTHONPATH` that names no run directory. The module of a user's own
environment ("module:Name-v0") may lie in the folder in which the user started: a worker appends that folder, so that
nothing in it hides another module.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

MODULE_FOLDER = "REWARDSMITH_MODULE_FOLDER"
"""Environment variable of a worker: the folder of the environment's module, the last in which it looks."""
RUN_FILES = ("config.toml", "provenance.json")
"""Files that every run directory has."""
PACKAGE = Path(__file__).resolve().parents[1]


def python_command(*arguments: str) -> list[str]:
    """Return the command of a Python process that imports nothing from the current folder.

    Args:
        arguments: of Python, "-m" and the module's name for instance.
    """
    return [sys.executable, "-P", *arguments]


def build_import_environment(variables: Mapping[str, str], module_folder: Path | None = None) -> dict[str, str]:
    """Return the variables that say what a process imports: all of them that it should have.

    Args:
        variables: environment variables of this process.
        module_folder: folder of a user's environment module; None for no such folder.
    """
    built = {"PYTHONSAFEPATH": "1"}
    folders = clean_python_path(variables.get("PYTHONPATH", ""))
    if folders:
        built["PYTHONPATH"] = folders
    if module_folder is not None:
        built[MODULE_FOLDER] = str(module_folder)
    return built


def clean_python_path(value: str) -> str:
    """Return a PYTHONPATH with absolute folders, without the current folder as an empty entry, and without runs.

    >>> clean_python_path("/opt/a::/opt/b:")
    '/opt/a:/opt/b'
    """
    folders = [os.path.abspath(entry) for entry in value.split(os.pathsep) if entry]  # noqa: PTH100 - links stay
    kept = [folder for folder in folders if not is_in_run(Path(folder))]

    # A checkout that is not installed was found in the current folder, where `-P` does not look.
    if PACKAGE.parent == Path.cwd() and str(PACKAGE.parent) not in (*sys.path, *kept):
        kept.append(str(PACKAGE.parent))
    return os.pathsep.join(kept)


def clean_this_environment() -> None:
    """Clean this process's PYTHONPATH, for processes that another library starts."""
    folders = clean_python_path(os.environ.get("PYTHONPATH", ""))
    if folders:
        os.environ["PYTHONPATH"] = folders
    else:
        os.environ.pop("PYTHONPATH", None)


def find_module_folder(modules: Sequence[str], folder: Path) -> Path | None:
    """Return the folder in which the modules of an environment may lie; None where nothing is looked for there.

    Args:
        modules: that making the environment imports; see `EnvSpec.modules`.
        folder: where the user started.
    """
    return folder.resolve() if modules and not is_in_run(folder) else None


def append_module_folder() -> None:
    """Let this process look for an environment's module in the folder that it was given, after all others."""
    folder = os.environ.get(MODULE_FOLDER)
    if folder and folder not in sys.path:
        sys.path.append(folder)


def is_in_run(folder: Path) -> bool:
    """Return whether a folder is a run directory, or lies in one."""
    try:
        resolved = folder.resolve()
    except (OSError, RuntimeError):
        return True  # a circle of links leads nowhere
    return any(all((parent / name).exists() for name in RUN_FILES) for parent in (resolved, *resolved.parents))
