"""Store of robots' model files, each folder under the digest of what is in it.

A run names its robot by a file and a digest, never by a path: a job that is run again, moved or sent to another process
means the same model. A run directory carries a copy in `robot/`, from which the store is filled again where it lacks
the files. Robots that ship with the package are found in `envs/robots`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from rewardsmith.contract import bounded_files
from rewardsmith.contract.bounded_files import DamagedFile
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.contract.records import EnvSpec
from rewardsmith.contract.robots.options import is_robot

RUN_FOLDER = "robot"
"""Folder of a run directory with a copy of its robot's files."""
MAX_BYTES = 256 << 20
"""Largest file of a model; the largest mesh of the MuJoCo Menagerie has 20 MiB."""
MAX_FILES = 2_000


def find_store(variables: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the store.

    >>> find_store({"XDG_CACHE_HOME": "/var/cache"}).as_posix()
    '/var/cache/rewardsmith/robots'
    """
    home = variables.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "rewardsmith" / "robots"


def find_shipped_robots() -> Path:
    """Return the folder of the robots that ship with the package."""
    return find_data_folder("envs") / "robots"


def digest_files(folder: Path, names: Sequence[str]) -> str:
    """Return the digest of files.

    Args:
        folder: of the model.
        names: of its files, relative to the folder, with `/`.

    Raises:
        TaskError: if one cannot be read.
    """
    total = hashlib.sha256()
    for name in sorted(names):
        try:
            content = bounded_files.read_bytes(folder / name, MAX_BYTES)
        except (OSError, DamagedFile) as error:
            reason = error.reason if isinstance(error, DamagedFile) else error.strerror
            raise TaskError(f"the robot's file {str(folder / name)!r} cannot be read: {reason}") from error
        total.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()


def find_model_file(model: str, digest: str) -> Path:
    """Return the model file that an environment names, after a look at its digest.

    Args:
        model: path relative to the folder of the digest.
        digest: of the model's files.

    Raises:
        TaskError: if the store does not have it, or has another one under its name.
    """
    shipped = find_shipped_robots()
    folder = find_store() / digest
    is_plain_name = PurePosixPath(model).name == model
    if digest and is_plain_name and (shipped / model).is_file() and digest_files(shipped, [model]) == digest:
        return shipped / model
    if not digest or not (folder / model).is_file():
        raise TaskError(
            f"the robot {model!r} with the digest {digest[:12]!r} is not on this machine; name its file with --robot or"
            " in a card, or resume its run where the run directory has its folder robot/"
        )
    if digest_files(folder, list_files(folder)) != digest:
        raise TaskError(
            f"the files of the robot {model!r} in {folder} were changed; delete that folder and name the"
            " robot's file again"
        )
    return folder / model


def list_files(folder: Path) -> list[str]:
    """Return the files of a folder, relative to it.

    Raises:
        TaskError: if there are too many for a model.
    """
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    if len(names) > MAX_FILES:
        raise TaskError(f"{folder} has {len(names):,} files; a robot's model has at most {MAX_FILES:,}")
    return names


def add_to_store(folder: Path, names: Sequence[str], digest: str) -> None:
    """Copy a model's files into the store; nothing where it has them.

    Raises:
        TaskError: if they cannot be written.
    """
    store = find_store()
    try:
        if (store / digest).is_dir() and digest_files(store / digest, list_files(store / digest)) == digest:
            return
        _copy_files(folder, names, store / digest)
    except OSError as error:
        raise TaskError(f"cannot keep the robot's files in {store}: {error.strerror}") from error


def copy_into_run(env: EnvSpec, run: Path) -> None:
    """Copy the files of a run's robot into its directory; nothing for another environment.

    Raises:
        TaskError: if the robot is not on this machine.
        OSError: if the files cannot be written.
    """
    if not is_robot(env):
        return
    model, digest = str(env.kwargs.get("model", "")), str(env.kwargs.get("digest", ""))
    file = find_model_file(model, digest)
    folder = find_store() / digest
    names = list_files(folder) if file.is_relative_to(folder) else [model]
    _copy_files(folder if file.is_relative_to(folder) else find_shipped_robots(), names, run / RUN_FOLDER)


def restore_from_run(env: EnvSpec, run: Path) -> None:
    """Fill the store with the robot's files of a run that the user trusts, where it lacks them.

    Raises:
        TaskError: if the files in the run are others than the run names.
    """
    folder = run / RUN_FOLDER
    if not is_robot(env) or not folder.is_dir():
        return
    digest = str(env.kwargs.get("digest", ""))
    names = list_files(folder)
    if digest_files(folder, names) != digest:
        raise TaskError(f"the files in {folder} are not those that the run was started with; restore them from a copy")
    add_to_store(folder, names, digest)


def _copy_files(source: Path, names: Sequence[str], target: Path) -> None:
    """Copy files into a folder that is complete or absent, also after a crash."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".robot-") as part:
        for name in names:
            (Path(part) / "files" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, Path(part) / "files" / name)
        if target.is_dir():
            shutil.rmtree(target)
        (Path(part) / "files").replace(target)
