"""The reward library: programs that worked, as plain files, found again by their task's words and their signals.

A file is a reward program under a head of comments that says what it is for:

    # /// reward
    # task = "Swing the pendulum up and hold it upright"
    # env_id = "Pendulum-v1"
    # ///

A few ship with the package (`prompts/library/`); the user's lie in REWARDSMITH_LIBRARY, else in the user's data folder.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from rewardsmith.contract import reward_program
from rewardsmith.contract.errors import ConfigError, ProgramError
from rewardsmith.contract.package_data import folder
from rewardsmith.contract.records import Example, write_text
from rewardsmith.search.storage import Run
from rewardsmith.spec import text_similarity

VARIABLE = "REWARDSMITH_LIBRARY"
SIGNAL_WEIGHT = 0.5
"""What reading only known signals counts beside the words, which count up to 1."""

_HEAD = re.compile(r"\A# /// reward\n(?P<lines>(?:#[^\n]*\n)*?)# ///\n\s*")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class Entry:
    """One program of the library."""

    name: str
    task: str
    """What the agent should do, in a sentence."""
    env_id: str
    source: str
    """The program, without its head."""
    fitness: str | None = None
    """The expression by which it was measured."""
    value: float | None = None
    """Its fitness; None where nobody measured it."""
    shipped: bool = False
    """It came with the package."""

    @property
    def signals(self) -> frozenset[str]:
        """What the program reads."""
        return frozenset(reward_program.parse(self.source).signals)

    @property
    def example(self) -> Example:
        """The entry as a designer is shown it."""
        return Example(self.task, self.env_id, self.source)


def home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the user's programs; it need not exist.

    >>> str(home({"REWARDSMITH_LIBRARY": "mine"})), str(home({"XDG_DATA_HOME": "/data"}))
    ('mine', '/data/rewardsmith/library')
    """
    if environment.get(VARIABLE):
        return Path(environment[VARIABLE])
    data = environment.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "rewardsmith" / "library"


def entries() -> tuple[Entry, ...]:
    """Return every program, by name; the user's takes the place of a shipped one of its name.

    Raises:
        ConfigError: if a file of the library is none of its programs.
    """
    found: dict[str, Entry] = {}
    for path, shipped in [*_files(folder("prompts") / "library", True), *_files(home(), False)]:
        found[path.stem] = _read(path, shipped)
    return tuple(found[name] for name in sorted(found))


def add(entry: Entry, *, force: bool = False) -> Path:
    """Keep a program; return its file.

    Raises:
        ConfigError: if the name is taken or cannot be one, or the folder cannot be written.
        ProgramError: if the text is no program.
    """
    reward_program.parse(entry.source)
    path = _path(entry.name)
    if path.exists() and not force:
        raise ConfigError(f"the library has a program {entry.name!r}; --force replaces it, --name gives another name")
    head = {"task": entry.task, "env_id": entry.env_id, "fitness": entry.fitness, "value": entry.value}
    lines = tomli_w.dumps({key: value for key, value in head.items() if value is not None}).splitlines()
    text = "\n".join(["# /// reward", *(f"# {line}" for line in lines), "# ///", "", entry.source.strip(), ""])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise ConfigError(f"cannot write the library {str(path.parent)!r}: {error.strerror}; set {VARIABLE}") from error
    return path


def remove(name: str) -> None:
    """Remove one of the user's programs.

    Raises:
        ConfigError: if the user has none of that name.
    """
    path = _path(name)
    if not path.is_file():
        ships = any(found.stem == name for found, _ in _files(folder("prompts") / "library", True))
        why = "ships with rewardsmith and stays" if ships else "is not in the library; `rewardsmith library` lists it"
        raise ConfigError(f"the program {name!r} {why}")
    path.unlink()


def of_file(path: Path, *, task: str | None, env_id: str | None, name: str | None) -> Entry:
    """Return a reward file as an entry; its head says what is not given.

    Raises:
        ConfigError: if its task or environment is unknown.
        ProgramError: if the file cannot be read or is no program.
    """
    head, source = _parted(reward_program.read_source(path), path)
    told_task, told_env = task or head.get("task"), env_id or head.get("env_id")
    if not told_task or not told_env:
        raise ConfigError(f"{path}: say what the program is for with --task 'a sentence' and --env ID")
    value = head.get("value")
    return Entry(
        name or slug(path.stem),
        str(told_task),
        str(told_env),
        source,
        str(head["fitness"]) if "fitness" in head else None,
        float(value) if isinstance(value, int | float) else None,
    )


def of_run(path: Path, *, name: str | None) -> Entry:
    """Return the best program of a finished run as an entry.

    Raises:
        RunError: if it is no run directory.
        ConfigError: if the run has no result yet.
    """
    run = Run.open(path)
    result = run.result()
    if result is None:
        raise ConfigError(f"{path} has no result yet; `rewardsmith resume {path}` goes on")
    value = result.reported.mean if result.reported else result.best.fitness
    made = name or slug(f"{run.task.name} {run.task.text}")
    return Entry(made, run.task.text, run.task.env.env_id, result.best.proposal.source, run.task.fitness, value)


def nearest(
    known: Sequence[Entry], text: str, env_id: str = "", signals: Iterable[str] = ()
) -> list[tuple[Entry, float]]:
    """Return the entries with their likeness to a task, the most alike first; equally alike ones by name.

    To the likeness of the words over task and environment comes the part of a program's signals that the task has.

    Args:
        known: the library.
        text: a task's sentence, or any words.
        env_id: the task's environment, if there is one.
        signals: names of its signals.
    """
    worded = text_similarity.likenesses(f"{text} {env_id}", [f"{entry.task} {entry.env_id}" for entry in known])
    have = frozenset(signals)
    scored = [(entry, words + SIGNAL_WEIGHT * _shared(entry, have)) for entry, words in zip(known, worded, strict=True)]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0].name))


def slug(text: str) -> str:
    """Return a text as a name.

    >>> slug("Hopper-v5: hop, forward!")
    'hopper-v5-hop-forward'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48].strip("-") or "program"


def _files(where: Path, shipped: bool) -> list[tuple[Path, bool]]:
    return [(path, shipped) for path in sorted(where.glob("*.py"))]


def _path(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name a program of the library: lower-case letters, digits and hyphens can")
    return home() / f"{name}.py"


def _read(path: Path, shipped: bool) -> Entry:
    try:
        entry = of_file(path, task=None, env_id=None, name=path.stem)
        reward_program.parse(entry.source)
    except (ConfigError, ProgramError) as error:
        raise ConfigError(f"the library's file {path} is no program of it: {error}; mend it or remove it") from error
    return Entry(entry.name, entry.task, entry.env_id, entry.source, entry.fitness, entry.value, shipped)


def _parted(text: str, path: Path) -> tuple[dict[str, object], str]:
    """Return a file's head and its program."""
    match = _HEAD.match(text)
    if match is None:
        return {}, text
    try:
        head = tomllib.loads("\n".join(line.removeprefix("#").strip() for line in match["lines"].splitlines()))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the head of {path} is not TOML: {error}") from error
    return head, text[match.end() :]


def _shared(entry: Entry, have: frozenset[str]) -> float:
    read = entry.signals
    return len(read & have) / len(read) if read else 0.0
