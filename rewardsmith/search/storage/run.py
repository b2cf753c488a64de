"""A run directory: where everything of one search lies.

```
config.toml       the resolved configuration        task.json   the task
user.py           the user's own program            examples.json   what the library gave for the prompts
train.py          the program that `rewardsmith train` measures; there is no search then
provenance.json   versions, git, prompts' hash      journal.jsonl, llm.jsonl, clock.json
probe/            transitions under random actions
candidates/<id>/  reward.py, candidate.json, feedback.md, train-s<seed>/, eval-s<seed>/, videos/
final/<id>/       the best program trained anew, for the reported figure
baseline/         the random policy, and policies trained on the environment's own reward
reward.py         the best program                  result.json the outcome
report.html       all of it to read                tensorboard/    logs, where asked for
```
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError, RunError
from rewardsmith.contract.records import Candidate, Result
from rewardsmith.search.storage import symlinks
from rewardsmith.search.storage.journal import Event, Journal, read
from rewardsmith.spec import config as configuration
from rewardsmith.spec.config import Config
from rewardsmith.spec.task_cards import Task

FORMAT = 1
USER_PROGRAM, MEASURED_PROGRAM = "user.py", "train.py"
PACKAGES = ("rewardsmith", "numpy", "torch", "stable-baselines3", "gymnasium", "mujoco", "openai")


@dataclass(frozen=True)
class Provenance:
    """Where a run's figures come from."""

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


class Run:
    """One run directory."""

    def __init__(self, path: Path, task: Task, config: Config) -> None:
        self.path = path
        self.task = task
        self.config = config

    @classmethod
    def create(cls, path: Path, task: Task, config: Config, prompts: str | None = None) -> Run:
        """Make a new run directory.

        Raises:
            RunError: if the folder exists and is not empty, or cannot be made.
        """
        try:
            check_free(path)
            path.mkdir(parents=True, exist_ok=True)
            records.write(task, path / "task.json")
            records.write_text(path / "config.toml", configuration.to_toml(config))
            records.write(provenance(prompts), path / "provenance.json")
        except OSError as error:
            raise RunError(f"cannot make the run directory {path}: {error.strerror}") from error
        return cls(path, task, config)

    @classmethod
    def open(cls, path: Path, *overrides: configuration.Layer) -> Run:
        """Open an existing run directory, with configuration layers over the recorded one.

        Raises:
            RunError: if it is none, of another version, or holds a symbolic link that leads out of it.
            ConfigError: if an override is wrong.
        """
        if not (path / "config.toml").is_file():
            raise RunError(f"{path} is no run directory: it has no config.toml; `rewardsmith show` lists the runs")
        try:
            link = symlinks.outward(path)
            if link is not None:
                what = "is a symbolic link that leads out of the run"
                raise RunError(f"{link} {what}; put what it leads to in its place, or remove it")
            about = records.read(Provenance, path / "provenance.json")
            if about.format != FORMAT:
                raise RunError(f"{path} has format {about.format}; this rewardsmith reads format {FORMAT}")
            task = records.read(Task, path / "task.json")
            recorded = tomllib.loads((path / "config.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{path} is damaged: {error}") from error
        try:
            config = configuration.resolve(recorded)
        except ConfigError as error:
            raise RunError(f"{path / 'config.toml'}: {error}") from error
        return cls(path, task, configuration.resolve(recorded, *overrides) if any(overrides) else config)

    def journal(self) -> Journal:
        """Open the journal for writing.

        Raises:
            RunError: if another process runs this directory.
        """
        return Journal(self.path / "journal.jsonl")

    def events(self) -> list[Event]:
        """Read the journal without locking it."""
        path = self.path / "journal.jsonl"
        return read(path) if path.is_file() else []

    def result(self) -> Result | None:
        """Read the outcome; None while there is none."""
        path = self.path / "result.json"
        return records.read(Result, path) if path.is_file() else None

    def candidates(self) -> list[Candidate]:
        """Read every candidate that has been judged so far, in order."""
        paths = sorted(self.path.glob("candidates/*/candidate.json"))
        found = [records.read(Candidate, path) for path in paths]
        return sorted(found, key=lambda candidate: (candidate.generation, candidate.slot))

    @property
    def transitions(self) -> Path:
        """Where the probe's transitions lie, under random actions."""
        return self.path / "probe" / "transitions.npz"

    def discard_if_unused(self) -> None:
        """Remove the directory if nothing that took a model's call or a training is in it."""
        paid = any(event.step in ("designer", "trainer") for event in self.events())
        used = paid or (self.path / "llm.jsonl").exists()
        if not used:
            shutil.rmtree(self.path, ignore_errors=True)

    def user_program(self) -> str | None:
        """Read the program that the user gave the search to begin with; None where there is none."""
        return self._text(USER_PROGRAM)

    def measured_program(self) -> str | None:
        """Read the program that this run measures without a search; None where it is a search."""
        return self._text(MEASURED_PROGRAM)

    def _text(self, name: str) -> str | None:
        path = self.path / name
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def folder(self, *parts: str) -> Path:
        """Return a folder of the run, made if needed."""
        path = self.path.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def save(self, candidate: Candidate) -> None:
        """Write what a person looks for in a candidate's folder; the journal stays the source of truth."""
        folder = self.folder("candidates", candidate.id)
        records.write_text(folder / "reward.py", candidate.proposal.source)
        records.write(candidate, folder / "candidate.json")
        if candidate.feedback is not None:
            records.write_text(folder / "feedback.md", candidate.feedback.text)

    def finish(self, result: Result) -> None:
        """Write the outcome and the best program."""
        records.write_text(self.path / "reward.py", result.best.proposal.source)
        records.write(result, self.path / "result.json")


def check_free(path: Path) -> None:
    """Make sure that a run can be made in a folder.

    Raises:
        RunError: if it is a file, or is not empty.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; choose another --out")
    if path.is_dir() and any(path.iterdir()):
        again = f"resume it with `rewardsmith resume {path}`, or " if (path / "config.toml").is_file() else ""
        raise RunError(f"{path} is not empty; {again}choose another --out")


def default_path(runs: Path, task: Task, now: datetime) -> Path:
    """Return `runs/<time>-<env>`, with a number behind it where that exists."""
    name = f"{now:%Y%m%d-%H%M%S}-{task.env.env_id.replace('/', '_').replace(':', '_')}"
    path, number = runs / name, 2
    while path.exists():
        path, number = runs / f"{name}-{number}", number + 1
    return path


def provenance(prompts: str | None) -> Provenance:
    """Return where figures made now come from."""
    return Provenance(
        format=FORMAT,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions={name: _version(name) for name in PACKAGES},
        git=_commit(Path(__file__).parent),
        prompts=prompts,
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit(folder: Path) -> str | None:
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
