"""Tools of a search whose designer is the calling agent: start it, take prompts, hand in programs, go on later.

The search is the ordinary one: `PromptDesk` stands where a language model's endpoint would, so that journal, ledger,
resuming, checks, repairs and reflections are those of every search. An agent that goes away leaves a run directory, and
`next_prompt` goes on with it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rewardsmith.api import searches
from rewardsmith.api.coding_agent import run_text
from rewardsmith.api.coding_agent.jobs import BackgroundJob, JobRegistry
from rewardsmith.api.coding_agent.tools import (
    POLL_S,
    WAIT_S,
    Env,
    FitnessText,
    RunName,
    SignalTexts,
    ToolCall,
    WaitTime,
    describe_job,
    measure_run,
)
from rewardsmith.api.plan_size import describe_size
from rewardsmith.api.planning import plan_search
from rewardsmith.api.search_budget import parse_budget
from rewardsmith.contract.errors import ConfigError, RunError, UserError
from rewardsmith.llm import PromptDesk, WaitingPrompt
from rewardsmith.llm.coding_agent import MODEL_NAME, format_answer
from rewardsmith.search import feedback, trusted_runs
from rewardsmith.search.callbacks import CallbackList, SearchCallback
from rewardsmith.search.setup import open_run_executor
from rewardsmith.search.storage import Run
from rewardsmith.spec import config as configuration
from rewardsmith.spec import config_layers
from rewardsmith.spec.env_options import read_env_options

SETTABLE = ("search", "evolution", "training", "evaluation", "designer", "budget")
"""Sections of the settings that an agent may set: nothing about endpoints, keys, clusters or the sandbox."""
DESIGN_STAGES = ("design", "repair", "check")
RULES_NOTE = "(The rules for programs are those of the first prompt; full=true shows them again.)"


@dataclass
class AgentSearch:
    """A search that the agent designs for, as this session knows it."""

    run: Run
    desk: PromptDesk
    job: BackgroundJob
    seen: set[str] = field(default_factory=set)
    """Candidates whose task the agent was shown; empty until it was shown the rules."""


class _CandidateNames(SearchCallback):
    """Tells the desk for which candidate a thread is about to ask."""

    def __init__(self, desk: PromptDesk) -> None:
        self._desk = desk

    def on_stage(self, owner: str, stage: str) -> None:
        """See `SearchCallback.on_stage`."""
        self._desk.name_candidate(owner)


class SearchTools:
    """Tools of the searches of one agent."""

    def __init__(self, jobs: JobRegistry) -> None:
        """Take the jobs of the server."""
        self._jobs = jobs
        self._searches: dict[Path, AgentSearch] = {}
        self._lock = threading.Lock()

    def start_search(
        self,
        call: ToolCall,
        text: Annotated[str, Field(description="What the simulated agent should do, in a sentence.")],
        env: Env,
        fitness: FitnessText = None,
        population: Annotated[int | None, Field(ge=1, description="Programs per generation.")] = None,
        generations: Annotated[int | None, Field(ge=1, description="Number of generations.")] = None,
        env_steps: Annotated[int | None, Field(ge=1, description="Environment steps per training.")] = None,
        budget_minutes: Annotated[
            float | None, Field(description="Minutes for the whole search, in place of the three sizes above.")
        ] = None,
        behaviour: Annotated[
            list[str] | None,
            Field(description="Behaviours that an archive tells apart, NAME=EXPRESSION:LOW:HIGH[:BINS], at most 2."),
        ] = None,
        signals: SignalTexts = None,
        settings: Annotated[
            list[str] | None, Field(description="Other settings, each 'section.key=value': 'search.final_seeds=5'.")
        ] = None,
    ) -> str:
        """Start a search for a reward program in which you are the designer; no key is needed.

        Then call next_prompt and submit_program in turns until the search has its result. Programs are trained while
        you write the next ones.
        """
        _refuse_fixed_sections(config_layers.parse_assignments(settings or ()))
        sizes = {"population": population, "generations": generations, "env_steps": env_steps}
        search: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
        overrides = {"search": {**search, "designer": MODEL_NAME}}
        budget = parse_budget(None, budget_minutes)
        plan = plan_search(
            text,
            env=env,
            fitness=fitness,
            overrides=overrides,
            sets=settings or (),
            env_options=read_env_options(None, signals=signals or ()),
            budget=budget,
            behaviour=behaviour or (),
        )
        found = self._start(searches.create_run(plan))

        shape, duration = plan.config.search, describe_size(plan).time
        size = f"{shape.population} programs × {shape.generations} generations, {plan.trainings} trainings, {duration}"
        return f"run: {found.run.path}\nstate: running\nfitness: {plan.task.fitness}\nsize: {size}\nnext: next_prompt"

    def continue_search(
        self,
        call: ToolCall,
        run: RunName,
        another_generation: Annotated[
            bool, Field(description="Run one more generation, which hears the feedback given since the last one.")
        ] = False,
    ) -> str:
        """Continue a search that was stopped or interrupted; what is done is not done again."""
        opened = Run.open(Path(run))
        if another_generation:
            searches.request_generation(opened)
        if opened.config.search.designer == MODEL_NAME:
            self._start(opened)
            return f"run: {opened.path}\nstate: running\nnext: next_prompt"
        self._jobs.start(str(opened.path), lambda job: measure_run(job, opened))
        return f"job: {opened.path}\nstate: running\nnext: wait_for_job"

    def next_prompt(
        self,
        call: ToolCall,
        run: RunName,
        wait_s: WaitTime = WAIT_S,
        full: Annotated[bool, Field(description="Show the whole conversation, with the rules for programs.")] = False,
    ) -> str:
        """Return the next prompt of a search that you design for: the task, and what earlier programs came to.

        It waits while programs are trained. Where no search runs in this directory, it goes on with it. At the end it
        returns the result. Cancelling this call stops the search; continue_search goes on.
        """
        found = self._find_or_continue(run)
        waited = 0.0
        while (prompt := found.desk.take_next()) is None and found.job.is_running and waited < wait_s:
            self._pass_time(found, call)
            waited += POLL_S
        if prompt is not None:
            return self._describe_prompt(found, prompt, full)
        if found.job.state == "failed":
            raise _build_failure(found)
        return describe_job(found.job, next_tool="next_prompt")

    def submit_program(
        self,
        call: ToolCall,
        run: RunName,
        prompt: Annotated[str, Field(description="The id in the prompt's head.")],
        program: Annotated[str, Field(description="The reward program, as the prompt asks for it, without a fence.")],
        idea: Annotated[
            str, Field(description="What the program does and why, in a few sentences; later prompts quote it.")
        ] = "",
        wait_s: WaitTime = WAIT_S,
    ) -> str:
        """Hand in the program for a prompt; returns whether the checks accept it, or what to repair."""
        was_running = self._find_running(run) is not None
        found = self._find_or_continue(run)
        waited = 0.0
        # A search that goes on from its directory first lays its prompts on the desk again.
        while not was_running and not found.desk.has_prompt(prompt) and found.job.is_running and waited < wait_s:
            self._pass_time(found, call)
            waited += POLL_S
        if found.job.state == "failed":
            raise _build_failure(found)
        answered = found.desk.submit_answer(prompt, format_answer(program, idea))
        while (outcome := self._find_outcome(found, answered)) is None and waited < wait_s:
            self._pass_time(found, call)
            waited += POLL_S
        return outcome or f"{answered.candidate} is being checked\nnext: next_prompt"

    def give_feedback(
        self,
        call: ToolCall,
        run: RunName,
        words: Annotated[str, Field(description="What a person says about the behaviour, in their words.")],
    ) -> str:
        """Record what a person says about a run, for its next generation; the search must not be running.

        continue_search with another_generation=true then runs a generation that hears it.
        """
        opened = Run.open(Path(run))
        event = feedback.add_remark(opened, words)
        return f"recorded (#{event.number}) in {opened.path}\nnext: continue_search with another_generation=true"

    # ---------------------------------------------------------------- searches

    def _find_or_continue(self, run: str) -> AgentSearch:
        """Return a search of this session; one that does not run, and has no outcome here, is continued."""
        known = self._find_running(run)
        if known is not None:
            return known
        opened = Run.open(Path(run))
        if opened.config.search.designer != MODEL_NAME:
            designer = opened.config.search.designer
            raise RunError(
                f"the designer of {run} is {designer!r}, not a coding agent; continue_search goes on with it"
            )
        return self._start(opened)

    def _find_running(self, run: str) -> AgentSearch | None:
        """Return a search of this session that runs or has its outcome; None where it has to be continued."""
        with self._lock:
            known = self._searches.get(Path(run).resolve())
        return known if known is not None and known.job.state != "cancelled" else None

    def _start(self, run: Run) -> AgentSearch:
        """Run a search in the background.

        Raises:
            UserError: if it is running.
        """
        desk = PromptDesk()
        job = self._jobs.start(str(run.path), lambda job: _run_search(job, run, desk))
        found = AgentSearch(run, desk, job)
        with self._lock:
            self._searches[run.path.resolve()] = found
        return found

    def _pass_time(self, found: AgentSearch, call: ToolCall) -> None:
        """Let a moment pass, and pass the progress on; a cancelled call stops the search.

        Raises:
            UserError: if the call was cancelled.
        """
        found.job.wait(POLL_S)
        call.fraction, call.message = found.job.progress.fraction, found.job.progress.describe()
        if call.cancelled.is_set():
            found.job.cancel()
            raise UserError(f"the call was cancelled, and {found.run.path} stopped with it; continue_search goes on")

    # ---------------------------------------------------------------- words

    def _describe_prompt(self, found: AgentSearch, prompt: WaitingPrompt, full: bool) -> str:
        """Return a prompt as the agent reads it: a head, and as much of the conversation as is new to it."""
        messages = prompt.request.messages
        if prompt.candidate in found.seen and not full:
            messages = messages[-1:]
        elif found.seen and not full:
            messages = tuple(message for message in messages if message.role != "system")
        body = "\n\n".join(
            f"[your answer was]\n{message.content}" if message.role == "assistant" else message.content
            for message in messages
        )
        note = "" if messages[0].role == "system" else f"{RULES_NOTE}\n\n"
        found.seen.add(prompt.candidate)
        head = [
            f"run: {found.run.path}",
            f"prompt: {prompt.id}",
            f"candidate: {prompt.candidate}",
            f"waiting: {len(found.desk.list_waiting())}",
            *found.job.progress.take_events(),
            "Answer with submit_program(run, prompt, program, idea), not in a message.",
        ]
        return "\n".join(head) + f"\n\n{note}{body}"

    def _find_outcome(self, found: AgentSearch, answered: WaitingPrompt) -> str | None:
        """Return what became of a program that was handed in; None while it is checked."""
        id, progress = answered.candidate, found.job.progress
        follow_up = [prompt for prompt in found.desk.list_waiting() if prompt.candidate == id]
        if follow_up:
            # Show it now: the agent need not ask for it.
            found.desk.mark_shown(follow_up[0])
            return f"{id} is refused; repair it\n\n{self._describe_prompt(found, follow_up[0], False)}"
        ended = progress.ended.get(id)
        if ended is not None:
            return f"{id} has ended as {ended.status}: {ended.cause or 'trained'}\nnext: next_prompt"
        if not found.job.is_running:
            return describe_job(found.job)
        if progress.stages.get(id, "train") not in DESIGN_STAGES:
            return f"{id} is accepted, and trains now\nnext: next_prompt"
        return None


def _build_failure(found: AgentSearch) -> RunError:
    """Return the error of a search that has failed."""
    again = "; continue_search tries again" if found.run.layout.config.is_file() else ""
    return RunError(found.job.outcome + again)


def _run_search(job: BackgroundJob, run: Run, desk: PromptDesk) -> str:
    """Run a search to its end, with the desk in a language model's place."""
    job.add_cleanup(desk.close)
    trusted_runs.check_trusted(run)
    callback = CallbackList([_CandidateNames(desk), job.progress])
    with searches.discard_unused(run), open_run_executor(run, job.progress.on_notice) as executor:
        job.add_cleanup(executor.close)
        result = searches.continue_run(run, callback, executor, desk)
    return run_text.describe_result(result, run.path)


def _refuse_fixed_sections(assigned: configuration.Layer) -> None:
    fixed = [name for name in assigned if name not in SETTABLE]
    if fixed:
        raise ConfigError(f"settings: {fixed[0]} is for the person at this machine; you may set {', '.join(SETTABLE)}")
