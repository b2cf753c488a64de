"""Labels of captions, asked for while trainings run; the orchestrator's half of the learned signal `labelled`.

Trainings report captions (`contract.job_messages.CaptionsSeen`), a thread of this process asks a language model about
the newest of them, a batch in a call, and appends the answers to the signal's table in the run directory, which every
worker reads (`contract.captions`). No training waits for it. Answers are in the ledger like all others; the table is
made from it when a run is opened, also from a ledger that is replayed, so that nothing is asked or paid for twice.
"""

from __future__ import annotations

import json
import random
import re
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from rewardsmith.contract import bounded_files
from rewardsmith.contract.captions import CaptionLabel, CaptionPreference, Label, clean_caption, encode_label
from rewardsmith.contract.errors import BudgetExhausted, ConfigError, ModelError, ModelRefused, RunError, UnwritableRun
from rewardsmith.contract.learned_signals import LabelledOptions
from rewardsmith.contract.text import pluralize
from rewardsmith.executors.base import Executor
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.llm import LedgerEntry, ModelPool, RecordedModel, prompts
from rewardsmith.llm.structured_output import AnswerForm, find_json_objects, request_form
from rewardsmith.search.storage import Run
from rewardsmith.spec.labelling import read_labelled_options

ROLE: Literal["labeller"] = "labeller"
COMPARISONS = 3
"""Pairs in which a new caption is compared with others, where captions are ranked."""
GRACE_S = 20.0
"""Seconds that an answer may take when the search has ended."""
_NUMBERED = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
_BETWEEN = " | "
"""Separator of the captions of a pair in a prompt; no caption has it."""


class LabelAnswer(AnswerForm):
    """Base of the model's answers about the numbered lines of a prompt."""

    def find_misfit(self, lines: Sequence[str]) -> str | None:
        """Return the fault of the answer, given these lines; None if it has none."""
        raise NotImplementedError

    def make_labels(self, lines: Sequence[str]) -> list[Label]:
        """Return the labels that the answer gives to these lines."""
        raise NotImplementedError


class HelpfulAnswer(LabelAnswer):
    """The model's answer about single captions."""

    helpful: list[Annotated[int, Field(ge=1)]]

    def find_misfit(self, lines: Sequence[str]) -> str | None:
        """See `LabelAnswer.find_misfit`."""
        beyond = [number for number in self.helpful if number > len(lines)]
        return f"helpful: there is no caption {beyond[0]}; the last is {len(lines)}" if beyond else None

    def make_labels(self, lines: Sequence[str]) -> list[Label]:
        """See `LabelAnswer.make_labels`."""
        return [CaptionLabel(line, number in self.helpful) for number, line in enumerate(lines, start=1)]


class ComparedAnswer(LabelAnswer):
    """The model's answer about pairs."""

    better: list[Literal[0, 1, 2]]

    def find_misfit(self, lines: Sequence[str]) -> str | None:
        """See `LabelAnswer.find_misfit`."""
        return None if len(self.better) == len(lines) else f"better: {len(self.better)} numbers for {len(lines)} pairs"

    def make_labels(self, lines: Sequence[str]) -> list[Label]:
        """See `LabelAnswer.make_labels`."""
        pairs = [line.partition(_BETWEEN) for line in lines]
        return [CaptionPreference(one, two, better) for (one, _, two), better in zip(pairs, self.better, strict=True)]


@contextmanager
def open_labeller(
    run: Run, models: ModelPool | None, executor: Executor, notice: Callable[[str], None]
) -> Iterator[None]:
    """Have captions labelled that trainings report while the block runs; does nothing for most runs.

    Args:
        run: whose environment may have labelled signals.
        models: of the run.
        executor: that runs the trainings.
        notice: receives a line when labelling ends early.

    Raises:
        ConfigError: if the executor cannot bring captions.
        RunError: if the tables cannot be written.
    """
    signals = read_labelled_options(run.task.env)
    if not signals or models is None:
        yield
        return
    if not isinstance(executor, LocalExecutor):
        raise ConfigError(
            f"the signal {next(iter(signals))!r} is labelled while trainings run, and this executor brings no captions"
            " from them; take executor.kind = 'local' (a sweep's executor does not), or another signal"
        )
    model = models.for_role(ROLE)
    labellers = {name: CaptionLabeller(run, name, options, model, notice) for name, options in signals.items()}
    executor.on_captions = lambda message: labellers[message.signal].take_captions(message.captions)
    try:
        yield
    finally:
        executor.on_captions = None
        for labeller in labellers.values():
            labeller.close()


class CaptionLabeller:
    """Asks about the captions of one signal, one call at a time; usable from many threads."""

    def __init__(
        self, run: Run, signal: str, options: LabelledOptions, model: RecordedModel, notice: Callable[[str], None]
    ) -> None:
        """Make the table from the answers so far, and start to wait for captions.

        Raises:
            RunError: if the table cannot be written.
        """
        self._run, self._signal, self._options, self._model, self._notice = run, signal, options, model, notice
        self._role = f"{ROLE}-{signal}"
        self._compares = options.model == "ranking"
        self._form: type[LabelAnswer] = ComparedAnswer if self._compares else HelpfulAnswer
        self._table = run.layout.label_table(signal)

        answers = model.list_answers(self._role)
        known = [label for entry in answers for label in _read_labels(entry, self._form)]
        self._seen = {caption: None for label in known for caption in _list_captions(label)}
        """Captions that need no further question, in the order in which they came."""
        self._calls = sum(entry.role == self._role and not entry.replayed for entry in model.ledger.entries)
        self._write_labels(known, "wb")

        self._waiting: list[str] = []
        """New captions, the newest last."""
        self._changed, self._closed = threading.Condition(), False
        self._thread = threading.Thread(target=self._label_captions, name=self._role, daemon=True)
        self._thread.start()

    def take_captions(self, captions: Sequence[str]) -> None:
        """Put captions of a training on top of those that wait, the newest first; returns at once."""
        with self._changed:
            new = [caption for caption in map(clean_caption, captions) if caption and caption not in self._seen]
            self._waiting = [caption for caption in self._waiting if caption not in new] + new[::-1]
            self._changed.notify()

    def close(self) -> None:
        """Ask no more; an answer that is on its way is waited for, but not for long."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(GRACE_S)

    # ---------------------------------------------------------------- the thread

    def _label_captions(self) -> None:
        """Ask about captions until the labeller is closed, or no further call may be made."""
        try:
            while batch := self._await_batch():
                self._write_labels(self._ask_about(batch), "ab")
        except (ModelError, BudgetExhausted, RunError) as error:
            self._notice(f"{self._signal}: no more captions are labelled, and the trainings go on: {error}")

    def _await_batch(self) -> list[str]:
        """Wait for captions and take the newest; [] when no call is to be made any more."""
        with self._changed:
            if self._calls >= self._options.calls:
                self._notice(f"{self._signal}: its {self._options.calls:,} calls are made; labels so far stay in use")
                return []
            self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
            if self._closed:
                return []
            # A pair of captions needs a second one to compare with.
            size = max(1, self._options.batch // COMPARISONS) if self._compares else self._options.batch
            batch, self._waiting = self._waiting[-size:][::-1], self._waiting[:-size]
            self._seen |= dict.fromkeys(batch)
            return batch

    def _ask_about(self, batch: Sequence[str]) -> list[Label]:
        """Return labels of captions; none where the model gives no usable answer."""
        lines = [_BETWEEN.join(pair) for pair in self._choose_pairs(batch)] if self._compares else list(batch)
        if not lines:
            return []
        self._calls += 1
        task = self._run.task
        listed = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))
        system = prompts.render_prompt("labels/system", compare=self._compares)
        question = prompts.render_prompt(
            "labels/ask",
            goal=self._options.goal or task.text,
            environment=f"{task.env.env_id}\n{task.env_about}",
            captions=listed,
            compare=self._compares,
        )
        # The sample tells batches apart where answers are replayed by position.
        sample = zlib.crc32(listed.encode())
        try:
            answer = request_form(
                self._model,
                system=system,
                question=question,
                form=self._form,
                role=self._role,
                sample=sample,
                check=lambda filled: filled.find_misfit(lines),
            )
        except ModelRefused as error:
            self._notice(f"{self._signal}: {pluralize(len(batch), 'caption')} without a label: {error}")
            return []
        return answer.make_labels(lines)

    def _choose_pairs(self, batch: Sequence[str]) -> list[tuple[str, str]]:
        """Return pairs of each caption with others that are known; which ones depends on the captions alone."""
        others = list(self._seen)
        pairs = {}
        for caption in batch:
            draw = random.Random(caption)
            for other in draw.sample(others, min(COMPARISONS, len(others))):
                if other != caption:
                    pair = (caption, other) if draw.random() < 0.5 else (other, caption)
                    pairs[frozenset(pair)] = pair
        return list(pairs.values())

    def _write_labels(self, labels: Iterable[Label], mode: Literal["wb", "ab"]) -> None:
        try:
            self._table.parent.mkdir(exist_ok=True)
            with self._table.open(mode) as file:
                file.write(b"".join(map(encode_label, labels)))
        except OSError as error:
            why = bounded_files.explain_write_error(error)
            raise UnwritableRun(f"cannot write the labels {str(self._table)!r}: {why}, then resume the run") from error


# ---------------------------------------------------------------- labels


def _read_labels(entry: LedgerEntry, form: type[LabelAnswer]) -> list[Label]:
    """Return the labels that an answer in a ledger gave; none where it was no usable one."""
    lines = _NUMBERED.findall(entry.request.messages[1].content) if len(entry.request.messages) > 1 else []
    for found in reversed(find_json_objects(entry.answer.text)):
        try:
            answer = form.model_validate_json(json.dumps(found))
        except ValidationError:
            continue
        if answer.find_misfit(lines) is None:
            return answer.make_labels(lines)
    return []


def _list_captions(label: Label) -> tuple[str, ...]:
    return (label.caption,) if isinstance(label, CaptionLabel) else (label.first, label.second)
