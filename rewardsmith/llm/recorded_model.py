"""One language model of a run: the ledger first, then a recording, then the endpoint within the budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from rewardsmith.contract.errors import ModelRefused
from rewardsmith.contract.records import ModelUsage
from rewardsmith.llm.budget import Budget
from rewardsmith.llm.endpoint import compute_cost_usd
from rewardsmith.llm.ledger import FailedAttempt, Ledger, LedgerEntry
from rewardsmith.llm.messages import Completion, Message, ModelAnswer, Request
from rewardsmith.llm.prompts import render_prompt, to_one_line
from rewardsmith.llm.replay import RecordedAnswers

if TYPE_CHECKING:
    from rewardsmith.spec.settings import ModelSettings

NO_TEXT = ("empty", "reasoning")
"""Ends of answers without a text."""


class ModelConnection(Protocol):
    """A connection that sends requests over the network."""

    def chat(self, request: Request, lost: Callable[[str, bool], None]) -> ModelAnswer:
        """Return the answer; raises ModelUnavailable or ModelRejected.

        Args:
            request: what is wanted.
            lost: told why an attempt that was sent gave no answer, and whether another follows.
        """
        ...

    def close(self) -> None:
        """Make no further attempts, and let go of the connections."""
        ...


class RecordedModel:
    """A language model whose every answer is written down before it is used."""

    def __init__(
        self,
        settings: ModelSettings,
        ledger: Ledger,
        budget: Budget,
        connect: Callable[[], ModelConnection],
        recording: RecordedAnswers | None = None,
    ) -> None:
        """Put the parts together; several models of one run share the ledger and the budget.

        Args:
            settings: which model, and how it is asked; `model` is set.
            ledger: where answers are kept.
            budget: what calls may use.
            connect: opens the endpoint; called when the first call has to be made.
            recording: another run's answers, if they may be used.
        """
        self.settings = settings
        self.ledger = ledger
        self._budget = budget
        self._connect = connect
        self._recording = recording
        self._caller: ModelConnection | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The model's name, as its endpoint knows it."""
        return self.settings.model or ""

    @property
    def spent(self) -> ModelUsage:
        """The cost of the run so far, earlier sessions included."""
        return self.ledger.spent

    def complete(self, messages: Sequence[Message], *, role: str, sample: int = 0) -> Completion:
        """Return one completion; see `LanguageModel.complete`.

        Raises:
            ModelUnavailable: if the endpoint cannot be reached or stays overloaded.
            ModelRejected: if the endpoint refuses the key, the model's name or the request.
            ModelRefused: if the model declines or answers nothing.
            ReplayMiss: if only recorded answers may be used and the request has no recorded answer.
            BudgetExhausted: if the call might pass a limit.
            ConfigError: if a call has to be made and there is no key.
            RunError: if the answer could not be recorded.
        """
        entry, cached = self._find_or_ask(messages, role, sample)

        # An answer without text is asked for once more, as a call of its own with its own name.
        if entry.answer.finish in NO_TEXT:
            request = render_prompt("form/no-text", reasoning=entry.answer.finish == "reasoning")
            again = (*messages, Message("assistant", "(no text)"), Message("user", request))
            entry, cached = self._find_or_ask(again, role, sample)
        return _to_completion(entry, cached=cached)

    def list_answers(self, role: str) -> tuple[LedgerEntry, ...]:
        """Return every answer that a role has had, in this run and in the recording that may be used; oldest first."""
        recorded = self._recording.entries if self._recording else ()
        return tuple(entry for entry in (*recorded, *self.ledger.entries) if entry.role == role)

    def close(self) -> None:
        """Make no further attempts, and let go of the connections."""
        with self._lock:
            if self._caller is not None:
                self._caller.close()

    def _find_or_ask(self, messages: Sequence[Message], role: str, sample: int) -> tuple[LedgerEntry, bool]:
        """Return the answer to a conversation, and whether it was there already."""
        settings = self.settings
        request = Request(
            self.name, tuple(messages), settings.temperature, settings.max_tokens, settings.reasoning_effort
        )
        key = request.key(role, sample)
        with self.ledger.lock_key(key):
            entry = self.ledger.find(key) or self._take_recorded(request, role, sample, key)
            if entry is not None:
                return entry, True
            return self._call_endpoint(request, role, sample, key), False

    def _take_recorded(self, request: Request, role: str, sample: int, key: str) -> LedgerEntry | None:
        """Take the answer over from the recording, if there is one."""
        if self._recording is None:
            return None
        entry = self._recording.find(key, role, sample, self.ledger.count_answers(role, sample))
        if entry is None and self._recording.strict:
            raise self._recording.build_miss_error(request, role, sample)
        if entry is not None:
            entry = replace(entry, key=key, request=request, replayed=True)
            self.ledger.append(entry)
        return entry

    def _call_endpoint(self, request: Request, role: str, sample: int, key: str) -> LedgerEntry:
        """Pay for an answer and write it down."""
        self.ledger.check_space()
        with self._budget.reserve(request, self.settings) as reservation:

            def lost(cause: str, again: bool) -> None:
                tokens_in, most = request.tokens_estimate, reservation.most
                self.ledger.append_failure(
                    FailedAttempt(role, sample, request.model, cause, tokens_in, most, _utc_now())
                )
                self._budget.count_lost_attempt(reservation, again=again)

            started = time.monotonic()
            answer = self._open_connection().chat(request, lost)
            latency_s = time.monotonic() - started
            entry = LedgerEntry(
                key=key,
                role=role,
                sample=sample,
                request=request,
                answer=answer,
                cost_usd=compute_cost_usd(self.settings, answer.tokens_in, answer.tokens_out),
                latency_s=round(latency_s, 3),
                time=_utc_now(),
                most_usd=reservation.most.cost_usd,
            )
            reservation.settle(entry.spent)
            self.ledger.append(entry)
        return entry

    def _open_connection(self) -> ModelConnection:
        with self._lock:
            if self._caller is None:
                self._caller = self._connect()
            return self._caller


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _to_completion(entry: LedgerEntry, *, cached: bool) -> Completion:
    """Return the entry as a step reads it.

    Raises:
        ModelRefused: if the model declined or answered nothing.
    """
    answer = entry.answer
    if answer.finish == "refusal":
        raise ModelRefused(
            f"the model {entry.request.model!r} declined ({entry.role}): {to_one_line(answer.text)!r}; say the task in "
            "other words, or take another --model"
        )
    if answer.finish in NO_TEXT:
        where = "; all that it wrote is its reasoning" if answer.finish == "reasoning" else ""
        raise ModelRefused(
            f"the model {entry.request.model!r} answered with empty text, asked twice ({entry.role}){where}; "
            f"{'set llm.reasoning_effort lower, ' if where else ''}take another --model, or look at the endpoint"
        )
    return Completion(
        text=answer.text,
        finish=answer.finish,
        tokens_in=answer.tokens_in,
        tokens_out=answer.tokens_out,
        cost_usd=entry.cost_usd,
        key=entry.key,
        latency_s=entry.latency_s,
        cached=cached,
    )
