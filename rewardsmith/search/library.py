"""Reward library: programs that worked, as plain files, found by the words of their task and by their signals.

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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tomli_w

from rewardsmith.contract import reward_files, reward_program
from rewardsmith.contract.bounded_files import DamagedFile, parse_toml
from rewardsmith.contract.errors import ConfigError, ProgramError
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.contract.records import Example, write_text
from rewardsmith.contract.text import flatten_text
from rewardsmith.search.storage import Run
from rewardsmith.spec import text_similarity

VARIABLE = "REWARDSMITH_LIBRARY"
SIGNAL_WEIGHT = 0.5
"""Weight of the signals in a similarity; the words count up to 1."""
MAX_ENV_ID_CHARS = 200
"""Longest id of an environment in a program of another author."""

_HEAD = re.compile(r"\A# /// reward\n(?P<lines>(?:#[^\n]*\n)*?)# ///\n\s*")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class LibraryEntry:
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
    """Whether it came with the package."""
    origin: str | None = None
    """Repository and commit of another author's program, whose fitness is theirs; None for the user's own."""

    @property
    def signals(self) -> frozenset[str]:
        """Names of the signals that the program reads."""
        return frozenset(reward_program.parse_program(self.source).signals)

    @property
    def example(self) -> Example:
        """The entry as a designer is shown it."""
        return Example(self.task, self.env_id, self.source)


def library_folder(variables: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the user's programs; it need not exist.

    >>> str(library_folder({"REWARDSMITH_LIBRARY": "mine"})), str(library_folder({"XDG_DATA_HOME": "/data"}))
    ('mine', '/data/rewardsmith/library')
    """
    if variables.get(VARIABLE):
        return Path(variables[VARIABLE])
    data = variables.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "rewardsmith" / "library"


def load_entries() -> tuple[LibraryEntry, ...]:
    """Return every program, by name; the user's takes the place of a shipped one of its name.

    Raises:
        ConfigError: if a file of the library is not a program of the library.
    """
    by_name: dict[str, LibraryEntry] = {}
    for path, shipped in [
        *_list_files(find_data_folder("prompts") / "library", True),
        *_list_files(library_folder(), False),
    ]:
        by_name[path.stem] = _read_entry(path, shipped)
    return tuple(by_name[name] for name in sorted(by_name))


def add_entry(entry: LibraryEntry, *, force: bool = False) -> Path:
    """Keep a program; return its file.

    Raises:
        ConfigError: if the name is taken or cannot be one, or the folder cannot be written.
        ProgramError: if the text is no program.
    """
    reward_program.parse_program(entry.source)
    path = _entry_path(entry.name)
    if path.exists() and not force:
        raise ConfigError(f"the library has a program {entry.name!r}; --force replaces it, --name gives another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, format_entry(entry))
    except OSError as error:
        raise ConfigError(f"cannot write the library {str(path.parent)!r}: {error.strerror}; set {VARIABLE}") from error
    return path


def format_entry(entry: LibraryEntry) -> str:
    """Return an entry as the text of its file."""
    head = {"task": entry.task, "env_id": entry.env_id, "fitness": entry.fitness, "value": entry.value}
    head["origin"] = entry.origin
    lines = tomli_w.dumps({key: value for key, value in head.items() if value is not None}).splitlines()
    return "\n".join(["# /// reward", *(f"# {line}" for line in lines), "# ///", "", entry.source.strip(), ""])


def remove_entry(name: str) -> None:
    """Remove one of the user's programs.

    Raises:
        ConfigError: if the user has none of that name.
    """
    path = _entry_path(name)
    if not path.is_file():
        ships = any(file.stem == name for file, _ in _list_files(find_data_folder("prompts") / "library", True))
        why = "ships with rewardsmith and stays" if ships else "is not in the library; `rewardsmith library` lists it"
        raise ConfigError(f"the program {name!r} {why}")
    path.unlink()


def entry_from_file(path: Path, *, task: str | None, env_id: str | None, name: str | None) -> LibraryEntry:
    """Return a reward file as an entry; values that are not given are read from the file's head.

    Raises:
        ConfigError: if its task or environment is unknown.
        ProgramError: if the file cannot be read or is no program.
    """
    head, source = _split_head(reward_files.read_source(path), path)
    task_text, env_name = task or head.get("task"), env_id or head.get("env_id")
    if not task_text or not env_name:
        raise ConfigError(f"{path}: say what the program is for with --task 'a sentence' and --env ID")
    value = head.get("value")
    return LibraryEntry(
        name or slugify(path.stem),
        str(task_text),
        str(env_name),
        source,
        str(head["fitness"]) if "fitness" in head else None,
        float(value) if isinstance(value, int | float) else None,
        origin=str(head["origin"]) if "origin" in head else None,
    )


def entry_from_others(path: Path, *, name: str, origin: str) -> LibraryEntry:
    """Return a file that others wrote as an entry: its head becomes single lines of limited length; nothing is run.

    Args:
        path: a reward file whose head says its task and its environment.
        name: in the library.
        origin: where it was fetched.

    Raises:
        ConfigError: if its task or environment is unknown.
        ProgramError: if the file cannot be read or is no program.
    """
    entry = entry_from_file(path, task=None, env_id=None, name=name)
    return replace(
        entry,
        task=flatten_text(entry.task),
        env_id=flatten_text(entry.env_id, MAX_ENV_ID_CHARS),
        fitness=None if entry.fitness is None else flatten_text(entry.fitness),
        origin=origin,
    )


def entry_from_run(path: Path, *, name: str | None) -> LibraryEntry:
    """Return the best program of a finished run as an entry.

    Raises:
        RunError: if it is no run directory.
        ConfigError: if the run has no result yet.
    """
    run = Run.open(path)
    result = run.read_result()
    if result is None:
        raise ConfigError(f"{path} has no result yet; `rewardsmith resume {path}` goes on")
    value = result.reported.mean if result.reported else result.best.fitness
    sentence = run.task.text or run.task.heading
    made = name or slugify(f"{run.task.name} {sentence}")
    return LibraryEntry(made, sentence, run.task.env.env_id, result.best.proposal.source, run.fitness_name, value)


def rank_by_similarity(
    entries: Sequence[LibraryEntry], text: str, env_id: str = "", signals: Iterable[str] = ()
) -> list[tuple[LibraryEntry, float]]:
    """Return the entries with their similarity to a task, the most similar first; equally similar ones by name.

    The similarity is that of the words over task and environment, plus the part of a program's signals that the task
    has, times SIGNAL_WEIGHT.

    Args:
        entries: of the library.
        text: a task's sentence, or any words.
        env_id: the task's environment, if there is one.
        signals: names of its signals.
    """
    described = [f"{entry.task} {entry.env_id}" for entry in entries]
    word_similarities = text_similarity.tfidf_similarity(f"{text} {env_id}", described)
    available = frozenset(signals)
    scored = [
        (entry, words + SIGNAL_WEIGHT * _readable_part(entry, available))
        for entry, words in zip(entries, word_similarities, strict=True)
    ]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0].name))


def slugify(text: str) -> str:
    """Return a text as a name.

    >>> slugify("Hopper-v5: hop, forward!")
    'hopper-v5-hop-forward'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48].strip("-") or "program"


def _list_files(where: Path, shipped: bool) -> list[tuple[Path, bool]]:
    return [(path, shipped) for path in sorted(where.glob("*.py"))]


def _entry_path(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name a program of the library: lower-case letters, digits and hyphens can")
    return library_folder() / f"{name}.py"


def _read_entry(path: Path, shipped: bool) -> LibraryEntry:
    try:
        entry = entry_from_file(path, task=None, env_id=None, name=path.stem)
        reward_program.parse_program(entry.source)
    except (ConfigError, ProgramError) as error:
        raise ConfigError(f"{path} is not a program of the reward library: {error}; fix it or remove it") from error
    return replace(entry, shipped=shipped)


def _split_head(text: str, path: Path) -> tuple[dict[str, object], str]:
    """Return a file's head and its program."""
    match = _HEAD.match(text)
    if match is None:
        return {}, text
    try:
        lines = "\n".join(line.removeprefix("#").strip() for line in match["lines"].splitlines())
        head = parse_toml(lines, path)
    except DamagedFile as error:
        raise ConfigError(f"the head of {path} is not TOML: {error.reason}") from error
    return head, text[match.end() :]


def _readable_part(entry: LibraryEntry, available: frozenset[str]) -> float:
    """Return the part of the signals that a program reads which are available, in [0, 1]."""
    read = entry.signals
    return len(read & available) / len(read) if read else 0.0
