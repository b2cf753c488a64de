"""A coding agent as the designer's language model: prompts wait on a desk until the agent hands in an answer.

`PromptDesk` is a connection like an endpoint's (`recorded_model.ModelConnection`): what the agent answers goes into the
ledger, so that a resumed search asks for nothing twice. `AbsentAgent` takes its place where no agent is connected.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract.errors import ModelUnavailable, RunError, UserError
from rewardsmith.llm.messages import ModelAnswer, Request

MODEL_NAME = "coding-agent"
"""The designer in the settings, and the model's name in the ledger."""
ID_DIGITS = 8
FENCE = "`" * 3

_candidate: ContextVar[str] = ContextVar("candidate", default="")
"""Id of the candidate that the current thread designs."""


@dataclass(frozen=True)
class WaitingPrompt:
    """A prompt that waits for an answer."""

    id: str
    """A digest of its messages: the same after a restart."""
    candidate: str
    """Id of the candidate that the answer will be."""
    request: Request


class PromptDesk:
    """The prompts of one search that wait for a coding agent; for any thread."""

    def __init__(self) -> None:
        """Start with an empty desk."""
        self._changed = threading.Condition()
        self._waiting: dict[str, WaitingPrompt] = {}
        self._answers: dict[str, str] = {}
        self._shown: set[str] = set()
        self._answered: set[str] = set()
        self._closed = False

    def name_candidate(self, candidate: str) -> None:
        """Say for which candidate the current thread will ask."""
        _candidate.set(candidate)

    def chat(self, request: Request, lost: Callable[[str, bool], None]) -> ModelAnswer:
        """Lay a prompt on the desk, and return the agent's answer; see `ModelConnection.chat`.

        Raises:
            ModelUnavailable: if the desk is closed before there is one.
        """
        with self._changed:
            prompt = WaitingPrompt(self._choose_id(request), _candidate.get(), request)
            self._waiting[prompt.id] = prompt
            self._changed.notify_all()
            self._changed.wait_for(lambda: prompt.id in self._answers or self._closed)
            del self._waiting[prompt.id]
            if prompt.id not in self._answers:
                raise ModelUnavailable("the search was stopped before the coding agent answered")
            return ModelAnswer(self._answers.pop(prompt.id), "stop")

    def close(self) -> None:
        """Let go of every search thread that waits for an answer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def list_waiting(self) -> tuple[WaitingPrompt, ...]:
        """Return the prompts without an answer, oldest first."""
        with self._changed:
            return tuple(prompt for prompt in self._waiting.values() if prompt.id not in self._answers)

    def take_next(self) -> WaitingPrompt | None:
        """Return the oldest prompt that was not shown yet, else the oldest that waits; None if none waits."""
        waiting = self.list_waiting()
        with self._changed:
            fresh = (prompt for prompt in waiting if prompt.id not in self._shown)
            prompt = next(fresh, waiting[0] if waiting else None)
            if prompt:
                self._shown.add(prompt.id)
            return prompt

    def mark_shown(self, prompt: WaitingPrompt) -> None:
        """Remember that the agent has seen a prompt."""
        with self._changed:
            self._shown.add(prompt.id)

    def has_prompt(self, id: str) -> bool:
        """Return whether a prompt of this id waits."""
        return any(prompt.id == id for prompt in self.list_waiting())

    def submit_answer(self, id: str, text: str) -> WaitingPrompt:
        """Answer a prompt, and return it.

        Raises:
            UserError: if no prompt of this id waits.
        """
        with self._changed:
            prompt = self._waiting.get(id)
            if prompt is None or id in self._answers:
                raise UserError(self._describe_unknown(id))
            self._answers[id] = text
            self._answered.add(id)
            self._changed.notify_all()
            return prompt

    def _choose_id(self, request: Request) -> str:
        """Return an id for a prompt: of its words, with a number where the same words wait or waited already."""
        words = "\n".join(f"{message.role}\n{message.content}" for message in request.messages)
        digest = hashlib.sha256(words.encode()).hexdigest()[:ID_DIGITS]
        taken = {*self._waiting, *self._answered}
        number = 1
        while (id := digest if number == 1 else f"{digest}-{number}") in taken:
            number += 1
        return id

    def _describe_unknown(self, id: str) -> str:
        waiting = ", ".join(f"{prompt.id} ({prompt.candidate})" for prompt in self._waiting.values())
        state = f"these wait: {waiting}" if waiting else "none waits now"
        if id in self._answered:
            return f"the prompt {id!r} was answered already; {state}; next_prompt shows the next one"
        return f"there is no prompt {id!r}; {state}; next_prompt shows the next one"


class AbsentAgent:
    """The connection of a search whose coding agent is not there."""

    def __init__(self, run: Path) -> None:
        """Take the run directory, for the message."""
        self._run = run

    def chat(self, request: Request, lost: Callable[[str, bool], None]) -> ModelAnswer:
        """Refuse the request.

        Raises:
            RunError: always; it says how to go on.
        """
        raise RunError(
            f"the programs of {self._run} are written by a coding agent, and none is connected; what it handed in is "
            f"kept: let your agent call next_prompt with run={str(self._run)!r} on the server `rewardsmith mcp`"
        )

    def close(self) -> None:
        """Do nothing."""


def format_answer(program: str, idea: str) -> str:
    """Return an answer as a language model would write it: the idea in words, then the program in a fence.

    The fence is longer than any in the program, and the idea opens no block of its own.
    """
    fence = FENCE
    while fence in program:
        fence += "`"
    words = idea.replace(FENCE, "'''").replace("~~~", "'''").strip()
    return f"{words}\n\n{fence}python\n{program.strip()}\n{fence}\n"
