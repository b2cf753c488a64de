"""One run directory: opening it, and reading and writing what is in it; `layout.py` has the paths."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from rewardsmith.contract import bounded_files, records
from rewardsmith.contract.bounded_files import DamagedFile
from rewardsmith.contract.errors import ConfigError, RunError
from rewardsmith.contract.records import Candidate, Probe, Result
from rewardsmith.contract.robots import store
from rewardsmith.search.storage import foreign_entries, format1
from rewardsmith.search.storage.journal import RESTORE, Event, Journal, load_event, read_journal, unreadable_error
from rewardsmith.search.storage.journal_keys import PROBE_KEY
from rewardsmith.search.storage.layout import BEFORE_CONFIG, RunLayout
from rewardsmith.search.storage.provenance import FORMAT, Provenance, collect_provenance
from rewardsmith.spec import config as configuration
from rewardsmith.spec.config import Config
from rewardsmith.spec.removed_settings import drop_removed_settings
from rewardsmith.spec.task_cards import Task

R = TypeVar("R")


class Run:
    """One run directory; of format 1 too, which is translated as it is read, and converted when it is written."""

    def __init__(self, path: Path, task: Task, config: Config) -> None:
        """Take what `create` made or `open` read."""
        self.path, self.task, self.config = path, task, config
        self.layout = RunLayout(path)
        self.format = FORMAT
        self.recorded_config = config
        self.is_new = False
        """Whether this process made it."""
        self._notices: list[str] = []
        self._provenance_lock = threading.Lock()
        self._events: list[Event] = []
        self._events_stamp: tuple[int, int, int] | None = None
        """Inode, size and time of change of the journal when these events were read."""

    @classmethod
    def create(cls, path: Path, task: Task, config: Config, prompts: str | None = None) -> Run:
        """Make a new run directory.

        Raises:
            RunError: if the folder exists and is not empty, or cannot be made.
            TaskError: if its robot's files are not on this machine.
        """
        layout = RunLayout(path)
        try:
            check_is_free(path)
            path.mkdir(parents=True, exist_ok=True)
            records.write(task, layout.task)
            records.write(collect_provenance(prompts), layout.provenance)
            store.copy_into_run(task.env, path)
            # The last file, which makes the folder a run: one that was killed before it is begun again.
            records.write_text(layout.config, configuration.dump_config(config))
        except OSError as error:
            raise RunError(f"cannot make the run directory {path}: {error.strerror}") from error
        run = cls(path, task, config)
        run.is_new = True
        return run

    @classmethod
    def open(cls, path: Path, *overrides: configuration.Layer) -> Run:
        """Open an existing run directory, with configuration layers over the recorded one.

        Raises:
            RunError: if this is no run directory, is damaged or of another version, or holds a link out of it.
            ConfigError: if an override is wrong.
        """
        layout = RunLayout(path)
        if not layout.config.is_file():
            raise RunError(f"{path} is not a run directory: it has no config.toml; `rewardsmith show` lists the runs")
        try:
            _refuse_foreign_entries(path)
            about = records.read(Provenance, layout.provenance)
            if about.format not in (1, FORMAT):
                raise RunError(f"{path} has format {about.format}; this rewardsmith reads the formats 1 and {FORMAT}")
            task = read_record(Task, layout.task, about.format)
            recorded = _read_recorded_config(layout.config, about.format)
        except OSError as error:
            raise unreadable_error(Path(error.filename or path), error) from error
        except DamagedFile as error:
            raise unreadable_error(path, error) from error

        recorded, notices = drop_removed_settings(recorded)
        try:
            config = configuration.resolve_config(recorded)
        except ConfigError as error:
            raise RunError(f"{layout.config} is damaged: {error}; {RESTORE}") from error

        run = cls(path, task, configuration.resolve_config(recorded, *overrides) if any(overrides) else config)
        run.format, run.recorded_config, run._notices = about.format, config, list(notices)
        return run

    @property
    def fitness_name(self) -> str:
        """The fitness of this run: the task's expression, or the name of a judge's score."""
        return self.config.name_fitness(self.task.fitness)

    # ---------------------------------------------------------------- reading

    def read_record(self, kind: type[R], path: Path) -> R:
        """Read a record of this run.

        Raises:
            RunError: if the file cannot be read, or is damaged.
        """
        try:
            return read_record(kind, path, self.format)
        except (OSError, DamagedFile) as error:
            raise unreadable_error(path, error) from error

    def read_events(self) -> list[Event]:
        """Read the journal without locking it; once, as long as nothing is appended to it.

        Raises:
            RunError: if it is damaged.
        """
        try:
            status = self.layout.journal.stat()
        except FileNotFoundError:
            return []
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        if stamp != self._events_stamp:
            events = read_journal(self.layout.journal)
            self._events = [self._upgrade_event(event) for event in events] if self.format == 1 else events
            self._events_stamp = stamp
        return list(self._events)

    def load_event(self, kind: type[R], event: Event) -> R:
        """Return the record of an event of this run's journal.

        Raises:
            RunError: if the event is damaged: it holds another record.
        """
        return load_event(kind, event, self.layout.journal)

    def read_probe(self) -> Probe | None:
        """Read what the run knows of its environment; None while it has not been probed.

        Raises:
            RunError: if the journal is damaged.
        """
        event = next((event for event in self.read_events() if event.key == PROBE_KEY), None)
        return None if event is None else self.load_event(Probe, event)

    def read_result(self) -> Result | None:
        """Read the outcome, with the present folder of the run; None while there is no outcome.

        Raises:
            RunError: if it is damaged.
        """
        if not self.layout.result.exists():
            return None
        result = self.read_record(Result, self.layout.result)
        if result.best.id not in {candidate.id for candidate in result.candidates}:
            raise RunError(f"{self.layout.result} is damaged: the best program is not among its candidates; {RESTORE}")
        return replace(result, run=str(self.path))

    def read_candidates(self) -> list[Candidate]:
        """Read every candidate that has been judged so far, in order.

        Raises:
            RunError: if one is damaged.
        """
        candidates = [self.read_record(Candidate, path) for path in self.layout.list_candidate_records()]
        return sorted(candidates, key=lambda candidate: (candidate.generation, candidate.slot))

    def read_provenance(self) -> Provenance:
        """Read where the run's numbers come from.

        Raises:
            RunError: if it is damaged.
        """
        return self.read_record(Provenance, self.layout.provenance)

    def read_user_program(self) -> str | None:
        """Read the user's first program (`--seed-reward`); None if the user gave none.

        Raises:
            RunError: if it cannot be read.
        """
        return _read_program(self.layout.user_program)

    def read_measured_program(self) -> str | None:
        """Read the program that this run measures without a search; None where it is a search.

        Raises:
            RunError: if it cannot be read.
        """
        return _read_program(self.layout.measured_program)

    def _upgrade_event(self, event: Event) -> Event:
        try:
            return format1.upgrade_event(event)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"{self.layout.journal} is damaged: {event.key!r} is no event of format 1; {RESTORE}"
            ) from error

    @property
    def transitions(self) -> Path:
        """The probe's transitions, under random actions."""
        return self.layout.transitions

    def take_notices(self) -> list[str]:
        """Return what the user should know about this run's format, each notice once."""
        notices, self._notices = self._notices, []
        return notices

    # ---------------------------------------------------------------- writing

    def open_journal(self) -> Journal:
        """Open the journal for writing; a run of format 1 is converted first.

        Raises:
            RunError: if another process runs this directory, or its files cannot be converted.
        """
        self.convert_if_old()
        return Journal(self.layout.journal)

    def write_task(self, task: Task) -> None:
        """Replace the task of a run that was begun with a part of it still open."""
        self.task = task
        records.write(task, self.layout.task)

    def record_sandbox(self, layers: str) -> bool:
        """Add the layers that held a reward process to the provenance; return whether they are new there.

        Raises:
            OSError: if the provenance cannot be read or written.
        """
        with self._provenance_lock:
            provenance = self.read_provenance()
            if layers in provenance.sandbox:
                return False
            records.write(replace(provenance, sandbox=(*provenance.sandbox, layers)), self.layout.provenance)
            return True

    def convert_if_old(self) -> None:
        """Convert the files of a run of format 1; call it before anything is written into a run.

        Raises:
            RunError: if another process runs this directory, or a file cannot be converted.
        """
        if self.format == FORMAT:
            return
        journal = Journal(self.layout.journal)  # the lock: nobody else runs or converts it meanwhile
        try:
            format1.convert_files(self.layout, journal, configuration.dump_config(self.recorded_config))
            records.write(replace(self.read_provenance(), format=FORMAT), self.layout.provenance)
        except (OSError, ValueError) as error:
            raise RunError(f"cannot convert {self.path} to format {FORMAT}: {error}") from error
        finally:
            journal.close()
        self.format = FORMAT
        backup = self.layout.journal_of_format_1.name
        self._notices.append(f"{self.path} was converted to format {FORMAT}; its journal of before is kept as {backup}")

    def save_candidate(self, candidate: Candidate) -> None:
        """Write what a person looks for in a candidate's folder; the journal stays the source of truth."""
        self.layout.candidate_dir(candidate.id).mkdir(parents=True, exist_ok=True)
        records.write_text(self.layout.candidate_program(candidate.id), candidate.proposal.source)
        records.write(candidate, self.layout.candidate_record(candidate.id))
        if candidate.reflection is not None:
            records.write_text(self.layout.reflection_file(candidate.id), candidate.reflection.text)

    def save_result(self, result: Result) -> None:
        """Write the outcome and the best program."""
        records.write_text(self.layout.best_program, result.best.proposal.source)
        records.write(result, self.layout.result)

    def discard_if_unused(self) -> None:
        """Remove the directory if nothing that took a model's call or a training is in it."""
        has_paid_events = any(event.step in ("designer", "trainer") for event in self.read_events())
        if not has_paid_events and not self.layout.ledger.exists():
            shutil.rmtree(self.path, ignore_errors=True)


def read_record(kind: type[R], path: Path, format: int) -> R:
    """Read a record of a run of any format.

    Raises:
        OSError: if the file cannot be read.
        DamagedFile: if it is damaged.
    """
    data = bounded_files.read_json(path)
    if format == 1:
        try:
            data = format1.upgrade_record(kind, data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DamagedFile(path, "it is no record of format 1") from error
    return records.load_from_file(kind, data, path)


def check_is_free(path: Path) -> None:
    """Make sure that a run can be made in a folder.

    Raises:
        RunError: if it is a file, or is not empty.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; choose another --out")
    if not path.is_dir():
        return
    if RunLayout(path).config.is_file():
        raise RunError(f"{path} is not empty; resume it with `rewardsmith resume {path}`, or choose another --out")
    names = {entry.name for entry in path.iterdir() if not entry.name.endswith(".part")}
    if not names <= BEFORE_CONFIG:
        raise RunError(f"{path} is not empty; choose another --out")


def choose_run_path(runs: Path, task: Task, now: datetime) -> Path:
    """Return `runs/<time>-<env>`, with a number behind it where that exists."""
    name = f"{now:%Y%m%d-%H%M%S}-{task.env.env_id.replace('/', '_').replace(':', '_')}"
    path, number = runs / name, 2
    while path.exists():
        path, number = runs / f"{name}-{number}", number + 1
    return path


def _refuse_foreign_entries(path: Path) -> None:
    foreign = foreign_entries.find_foreign_entry(path)
    if foreign is not None:
        raise RunError(foreign)


def _read_recorded_config(path: Path, format: int) -> dict[str, Any]:
    """Read the configuration of a run, which is written as a whole, every setting spelled out.

    Raises:
        OSError: if it cannot be read.
        DamagedFile: if it is no TOML, or a part of it is missing: it would be replaced by defaults.
    """
    text = bounded_files.read_text(path)
    recorded = bounded_files.parse_toml(text, path)
    missing = configuration.list_missing_settings(recorded, whole_sections_only=format == 1)
    if missing:
        raise DamagedFile(path, f"it lacks {missing[0]}{f' and {len(missing) - 1} more' if missing[1:] else ''}")
    if not text.endswith("\n"):
        raise DamagedFile(path, "its end is missing")
    return recorded


def _read_program(path: Path) -> str | None:
    try:
        return bounded_files.read_text(path)
    except FileNotFoundError:
        return None
    except (OSError, DamagedFile) as error:
        raise unreadable_error(path, error) from error
