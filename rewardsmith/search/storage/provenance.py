"""Provenance of a run: the format of its directory, and the versions and the commit that its numbers come from."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

FORMAT = 2
"""Format of the run directories that this version writes."""
PACKAGES = ("rewardsmith", "numpy", "torch", "stable-baselines3", "gymnasium", "mujoco", "openai")


@dataclass(frozen=True)
class Provenance:
    """Origin of a run's numbers."""

    format: int
    created: str
    """Local time, ISO 8601."""
    python: str
    machine: str
    versions: dict[str, str | None]
    git: str | None
    """Commit of the checkout that rewardsmith runs from, with "+" where files differ from it."""
    prompts: str | None
    """Hash of all prompt files; None without a language model."""
    sandbox: tuple[str, ...] = ()
    """Layers of the seal that held the trainings' reward processes: a line for each set of layers that was met; empty
    before the first training, and in records of older versions."""
    settings: str | None = None
    """Hash of the settings that the results depend on (`sessions`); None before the first session."""
    changes: tuple[str, ...] = ()
    """Versions that changed between two sessions of the run, a line for each such session; the other fields say what
    the last one found."""


def collect_provenance(prompts: str | None) -> Provenance:
    """Return the provenance of numbers that are made now.

    Args:
        prompts: hash of all prompt files; None without a language model.
    """
    return Provenance(
        format=FORMAT,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions={name: _package_version(name) for name in PACKAGES},
        git=_checkout_commit(Path(__file__).parent),
        prompts=prompts,
    )


def _package_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _checkout_commit(folder: Path) -> str | None:
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
