"""Log file of a run: `log.txt` in its directory, appended to while the run is open for writing.

Loggers have the names of their modules. What they say while several runs are open, as in a sweep, goes to the run that
the thread works for. The log never holds a key or a prompt; a worker's own output stays in the `worker.log` of its job.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from rewardsmith.contract.records import Brief, Candidate, Result
from rewardsmith.search.callbacks import SearchCallback

ROOT = "rewardsmith"
FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
MAX_LINE = 2_000
"""Characters of a record that are kept; the rest of a longer one is cut."""
SECRET_VARIABLE = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
MIN_SECRET = 8
"""Characters from which the value of such a variable is taken as a secret: shorter ones occur in ordinary words."""

logger = logging.getLogger(__name__)

_open_run: ContextVar[Path | None] = ContextVar("open_run", default=None)
"""Log file of the run that the current thread works for."""
_level = logging.INFO
_handlers_lock = threading.Lock()


def configure(level: str) -> None:
    """Choose from which level on records go into the logs of the runs that are opened from now on.

    Args:
        level: "DEBUG" (with --verbose), "INFO" (the default), or a more severe level of `logging`.
    """
    global _level  # one level for the process, as the command line gives it
    _level = logging.getLevelNamesMapping()[level]


@contextmanager
def log_to(path: Path, variables: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Append the records of this thread, and of the threads that it starts, to a file while the block runs.

    Args:
        path: the file; one that cannot be written is no reason to fail.
        variables: environment variables; values of those whose names say that they are secret are kept out of the file.
    """
    handler = _RunHandler(path, _find_secrets(variables))
    root = logging.getLogger(ROOT)
    if root.level == logging.NOTSET or root.level > _level:
        root.setLevel(_level)
    handler.setLevel(_level)
    # The list is replaced, not changed: another run's thread may be going through it, and would skip a handler.
    with _handlers_lock:
        root.handlers = [*root.handlers, handler]
    token = _open_run.set(path)
    try:
        yield
    finally:
        _open_run.reset(token)
        with _handlers_lock:
            root.handlers = [other for other in root.handlers if other is not handler]
        handler.close()


class LogCallback(SearchCallback):
    """Writes the course of a search into the log of its run, with every notice that the user is shown."""

    def on_search_start(self, trainings: int, env_steps: int) -> None:
        """See `SearchCallback.on_search_start`."""
        logger.info("search starts: at most %d trainings of %d environment steps", trainings, env_steps)

    def on_generation_start(self, brief: Brief) -> None:
        """See `SearchCallback.on_generation_start`."""
        logger.info("generation %d starts: %d programs", brief.generation, brief.population)

    def on_stage(self, owner: str, stage: str) -> None:
        """See `SearchCallback.on_stage`."""
        logger.debug("%s enters the stage %r", owner, stage)

    def on_candidate_end(self, candidate: Candidate) -> None:
        """See `SearchCallback.on_candidate_end`."""
        cause = f" ({candidate.cause})" if candidate.cause else ""
        logger.info("%s ends as %s with fitness %s%s", candidate.id, candidate.status, candidate.fitness, cause)

    def on_notice(self, text: str) -> None:
        """See `SearchCallback.on_notice`."""
        logger.warning("%s", text)

    def on_search_end(self, result: Result) -> None:
        """See `SearchCallback.on_search_end`."""
        stopped = f"; stopped early: {result.stopped}" if result.stopped else ""
        logger.info("search ends: the best program is %s%s", result.best.id, stopped)


class _RunHandler(logging.FileHandler):
    """Writes the records of one run to its file; a full disk neither raises nor prints."""

    def __init__(self, path: Path, secrets: tuple[str, ...]) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self._path = path
        self.setFormatter(_OneLineFormatter(secrets))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record if its thread works for this handler's run; where that fails, the run goes on without it."""
        if _open_run.get() == self._path:
            with contextlib.suppress(OSError):
                super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Stay silent: logging would print a traceback over the live view."""


class _OneLineFormatter(logging.Formatter):
    """Formats a record as one line of bounded length, without secrets."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__(FORMAT)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        line = super().format(record).replace("\n", "\\n")
        for secret in self._secrets:
            line = line.replace(secret, "(secret)")
        return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} ..."


def _find_secrets(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of the variables whose names end like those of keys and tokens, the longest first.

    >>> _find_secrets({"OPENAI_API_KEY": "sk-123456", "HOME": "/home/me", "KEY": "x"})
    ('sk-123456',)
    """
    values = {value for name, value in variables.items() if SECRET_VARIABLE.search(name) and len(value) >= MIN_SECRET}
    return tuple(sorted(values, key=len, reverse=True))
