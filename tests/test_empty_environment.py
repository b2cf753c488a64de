"""The ways in which a newcomer starts: pip, uvx and pipx, each from the built wheel in an empty environment.

They fetch about 1 GB of packages from PyPI, with the CPU build of torch that constraints.txt pins.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.paths import CHECKOUT

CPU_BUILDS = "https://download.pytorch.org/whl/cpu"
LIMIT_S = 1_800

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Newcomer:
    """A folder with the wheel, and torch's CPU build beside it."""

    folder: Path
    wheel: Path
    wheels: Path
    """Folder with torch's wheel, which takes the place of PyPI's."""
    tools: Path
    """Virtual environment with uv and pipx."""

    def run(self, *command: str | Path, **variables: str) -> str:
        """Run a command in the empty folder, and return its output."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        answer = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=kept | {"PATH": f"{self.tools / 'bin'}{os.pathsep}{os.environ['PATH']}", **variables},
            timeout=LIMIT_S,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    folder = tmp_path_factory.mktemp("newcomer")
    try:
        yield prepare(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepare(folder: Path) -> Newcomer:
    """Build the wheel, fetch torch's CPU build, and install uv and pipx."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True, timeout=LIMIT_S)
    (wheel,) = folder.glob("*.whl")

    # pip takes the build "+cpu" before PyPI's of the same version, wherever it is offered.
    lines = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (torch,) = [line for line in lines if line.startswith("torch==")]
    (folder / "torch.txt").write_text(torch + "\n", encoding="utf-8")
    fetch = ["download", "--no-deps", "--dest", str(folder / "wheels"), "--extra-index-url", CPU_BUILDS]
    subprocess.run(
        [sys.executable, "-m", "pip", "--retries", "0", *fetch, torch], check=True, capture_output=True, timeout=LIMIT_S
    )

    venv.create(folder / "tools", with_pip=True)
    pip = [str(folder / "tools" / "bin" / "pip"), "install", "--quiet", "uv", "pipx"]
    subprocess.run(pip, check=True, capture_output=True, timeout=LIMIT_S)
    return Newcomer(folder, wheel, folder / "wheels", folder / "tools")


def test_pip_installs_the_wheel_and_the_demo_trains_films_and_reports(newcomer: Newcomer) -> None:
    venv.create(newcomer.folder / "venv", with_pip=True)
    bin = newcomer.folder / "venv" / "bin"
    options = ("--quiet", "--find-links", newcomer.wheels, "--constraint", newcomer.folder / "torch.txt")
    newcomer.run(bin / "pip", "install", *options, newcomer.wheel)
    packages = newcomer.run(bin / "pip", "list", "--format", "freeze").lower()
    assert "nvidia" not in packages, "the CUDA libraries came along"

    shown = newcomer.run(bin / "rewardsmith", "demo", "--steps", "2048", "--out", "run")
    assert "this reward" in shown
    assert "film, this reward:" in shown
    assert (newcomer.folder / "run" / "report.html").is_file()
    assert "Hopper-v5" in newcomer.run(bin / "rewardsmith", "envs")
    assert "eureka" in newcomer.run(bin / "rewardsmith", "presets")
    assert "pendulum-swing-up" in newcomer.run(bin / "rewardsmith", "library")


def test_uvx_runs_the_demo(newcomer: Newcomer) -> None:
    options = ("--find-links", newcomer.wheels, "--constraints", newcomer.folder / "torch.txt")
    cache = {"UV_CACHE_DIR": str(newcomer.folder / "uv"), "UV_TOOL_DIR": str(newcomer.folder / "uv-tools")}
    command = (
        "uvx",
        "--python",
        sys.executable,
        *options,
        "--from",
        newcomer.wheel,
        "rewardsmith",
        "demo",
        "--dry-run",
    )
    assert "Dry run: no model calls, no training." in newcomer.run(*command, **cache)


def test_pipx_runs_the_demo(newcomer: Newcomer) -> None:
    variables = {
        "PIPX_HOME": str(newcomer.folder / "pipx"),
        "PIP_CONSTRAINT": str(newcomer.folder / "torch.txt"),
        "PIP_FIND_LINKS": f"{newcomer.wheels} {os.environ.get('PIP_FIND_LINKS', '')}".strip(),
    }
    command = ("pipx", "run", "--python", sys.executable, "--spec", newcomer.wheel, "rewardsmith", "demo", "--dry-run")
    assert "Dry run: no model calls, no training." in newcomer.run(*command, **variables)
