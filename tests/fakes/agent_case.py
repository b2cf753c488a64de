"""A scripted coding agent, and searches without real trainings for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from fakes.played_search import PROGRAM, TASK, PlayedExecutor

from rewardsmith.api.coding_agent import search_tools
from rewardsmith.api.coding_agent.jobs import JobRegistry
from rewardsmith.api.coding_agent.tools import ProgramTools, ToolCall
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config


def create_agent_run(path: Path, **search) -> Run:
    """Make a run whose designer is a coding agent: 2 programs × 2 generations, unless `search` says otherwise."""
    sizes = {"population": 2, "generations": 2, "final_seeds": 2, "env_steps": 100, "designer": "coding-agent"}
    return Run.create(path, TASK, resolve_config({"search": sizes | search}))


def read_field(text: str, name: str) -> str:
    """Return a field of the head of a tool's answer."""
    return next(line.partition(": ")[2] for line in text.splitlines() if line.startswith(f"{name}: "))


class Session:
    """The tools of one server; its trainings are played."""

    def __init__(self, monkeypatch, executor: PlayedExecutor | None = None) -> None:
        self.executor = executor or PlayedExecutor()
        opened = lambda *_: contextlib.nullcontext(self.executor)  # noqa: E731
        monkeypatch.setattr(search_tools, "open_run_executor", opened)
        self.jobs = JobRegistry()
        self.searches, self.programs = search_tools.SearchTools(self.jobs), ProgramTools(self.jobs)

    def ask(self, run: Path, **options) -> str:
        """Call next_prompt."""
        return self.searches.next_prompt(ToolCall(), str(run), **options)

    def submit(self, run: Path, prompt: str, program: str, idea: str = "Rise.") -> str:
        """Call submit_program."""
        return self.searches.submit_program(ToolCall(), str(run), prompt, program, idea)

    def play(self, run: Path, write: Callable[[str], str], prompts: int | None = None) -> str:
        """Answer prompts until the search ends, or so many of them; return the last answer of next_prompt."""
        answered = 0
        while "\nprompt: " in (text := self.ask(run)):
            if answered == prompts:
                return text
            self.submit(run, read_field(text, "prompt"), write(text))
            answered += 1
        return text


def write_by_candidate(text: str) -> str:
    """Return a program whose worth grows with the candidate's place in the search."""
    generation, slot = read_field(text, "candidate").removeprefix("g").split("c")
    return PROGRAM.format(worth=1.0 + 2.0 * int(generation) + int(slot))
