"""Tools for programs and runs: describe, check, train, evaluate, compare, show, export.

Each method is a tool of the MCP server (`server.py`): its docstring is what the agent reads, and its first argument is
the call. A program runs nowhere but in the sealed reward process. Errors are those of `rewardsmith.contract.errors`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Annotated, Any

from pydantic import Field

from rewardsmith.api import checks, compare, searches
from rewardsmith.api.coding_agent import run_text
from rewardsmith.api.coding_agent.jobs import BackgroundJob, JobRegistry
from rewardsmith.api.exports import BEST, export_candidate, find_candidate
from rewardsmith.api.planning import plan_training
from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import EvaluateJob, Signal
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.executors.episode_steps import spread_steps
from rewardsmith.executors.frames import FrameRenderer
from rewardsmith.report import video
from rewardsmith.report.result_lines import format_estimate
from rewardsmith.search import setup, trusted_runs
from rewardsmith.search.intervals import confidence_interval
from rewardsmith.search.steps import evaluator
from rewardsmith.search.storage import Run
from rewardsmith.spec.env_options import read_env_options

WAIT_S = 45.0
"""Seconds that a call waits by default: many clients give up after 60."""
POLL_S = 0.25
MAX_FRAMES = 8
SIGNAL_TOKENS = 3_000
"""Approximate length of a list of signals, in tokens."""

RunName = Annotated[str, Field(description="The run directory, such as runs/20261128-101500-Hopper-v5.")]
Candidate = Annotated[str, Field(description="A candidate's id, such as g0c01; 'best' is the best one.")]
Program = Annotated[str, Field(description="The text of a reward program.")]
Env = Annotated[str, Field(description="A task's name (list_tasks), a Gymnasium id, or the file of a task card.")]
FitnessText = Annotated[
    str | None, Field(description="How success is measured, such as 'x_position[-1]'; left out: as in the task card.")
]
SignalTexts = Annotated[
    list[str] | None,
    Field(description='Learned signals, as TOML: \'progress = { provider = "demonstrations", demo = ["a.npz"] }\'.'),
]
WaitTime = Annotated[float, Field(ge=0.0, le=600.0, description="Seconds to wait at most.")]


@dataclass
class ToolCall:
    """One call of a tool: where it reports progress, and whether the agent has cancelled it."""

    cancelled: Event = field(default_factory=Event)
    fraction: float = 0.0
    """Part of the work that is done, in [0, 1]."""
    message: str = ""
    """The progress in a line."""


@dataclass(frozen=True)
class ShownFrames:
    """Frames of an episode, with a text about them."""

    text: str
    pngs: tuple[bytes, ...]


def follow_job(job: BackgroundJob, call: ToolCall, wait_s: float) -> bool:
    """Wait for a job and pass its progress on; a cancelled call cancels the job. Return whether it has ended."""
    waited = 0.0
    while not job.wait(min(POLL_S, wait_s - waited)) and waited < wait_s:
        waited += POLL_S
        call.fraction, call.message = job.progress.fraction, job.progress.describe()
        if call.cancelled.is_set():
            job.cancel()
    return not job.is_running


def describe_job(job: BackgroundJob, next_tool: str = "wait_for_job") -> str:
    """Describe a job: its state, what happened since the last call, and its progress or outcome."""
    lines = [f"job: {job.handle}", f"state: {job.state}", *job.progress.take_events()]
    if job.is_running:
        return "\n".join([*lines, job.progress.describe(), f"next: {next_tool}"])
    return "\n".join([*lines, "", job.outcome])


class ProgramTools:
    """Tools that need no search of the agent's own."""

    def __init__(self, jobs: JobRegistry) -> None:
        """Take the jobs of the server."""
        self._jobs = jobs

    # ---------------------------------------------------------------- tasks and programs

    def list_tasks(self, call: ToolCall) -> str:
        """List the tasks with a card: name, environment, what the agent should do.

        Any other registered Gymnasium id works too, with a fitness expression.
        """
        from rewardsmith.spec.task_cards import load_cards

        return "\n".join(f"{card.name} ({card.env.env_id}): {card.text}" for card in load_cards())

    def describe_task(self, call: ToolCall, env: Env) -> str:
        """Describe an environment, and the rules for reward programs.

        It names the signals that a program may read, those that only a fitness expression may read, and the fitness.
        """
        from rewardsmith.executors.probe import run_probe
        from rewardsmith.search.steps.designer.prompt_builder import PromptOptions, render_rules
        from rewardsmith.spec.task_cards import find_env

        spec, card = find_env(env)
        probe = run_probe(spec)
        parts = [_describe_card_or_env(card, spec.env_id)]
        named_count = len(spec.signals) + len(spec.learned_signals)
        parts.append(f"Signals for programs and fitness:\n\n{_render_signals(probe.signals, named_count)}")
        if probe.privileged_signals:
            privileged = _render_signals(probe.privileged_signals, 0)
            parts.append(f"Signals for the fitness alone; no program may read them:\n\n{privileged}")
        return "\n\n".join([*parts, render_rules(PromptOptions(), prompted_only=False)])

    def check_program(self, call: ToolCall, program: Program, env: Env, signals: SignalTexts = None) -> str:
        """Check a reward program without training: its text, then its terms on transitions of the real environment."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "program.py"
            file.write_text(program, encoding="utf-8")
            options = read_env_options(None, signals=signals or ())
            return run_text.describe_verdict(checks.check_reward(file, env, Path(folder), env_options=options))

    def train_program(
        self,
        call: ToolCall,
        program: Program,
        env: Env,
        fitness: FitnessText = None,
        env_steps: Annotated[int | None, Field(description="Environment steps per training.")] = None,
        seeds: Annotated[int, Field(ge=1, le=50, description="Training seeds.")] = 1,
        baseline: Annotated[bool, Field(description="Also train on the environment reward, to compare.")] = False,
        signals: SignalTexts = None,
    ) -> str:
        """Train policies on one reward program and measure them, without a search; returns a job at once.

        wait_for_job gives the result: the fitness on held-out episodes, with its interval over the training seeds.
        """
        parsed = parse_program(program)
        plan = plan_training(
            heading="train a program of a coding agent",
            env=env,
            fitness=fitness,
            env_steps=env_steps,
            seeds=seeds,
            baseline=baseline,
            env_options=read_env_options(None, signals=signals or ()),
        )
        run = searches.create_run(plan, measured=parsed)
        job = self._jobs.start(str(run.path), lambda job: measure_run(job, run))
        return (
            f"job: {job.handle}\nstate: running\n{plan.trainings} trainings of {plan.config.search.env_steps:,} steps"
        )

    # ---------------------------------------------------------------- jobs

    def wait_for_job(
        self,
        call: ToolCall,
        job: Annotated[str, Field(description="The job: a run directory, or evaluation-1.")],
        wait_s: WaitTime = WAIT_S,
    ) -> str:
        """Wait for a job and return its result, or how far it is; cancelling this call cancels the job."""
        found = self._jobs.get(job)
        follow_job(found, call, wait_s)
        return describe_job(found)

    def cancel_job(self, call: ToolCall, job: Annotated[str, Field(description="The job to end.")]) -> str:
        """Cancel a job; what a search has done stays done, and continue_search goes on from there."""
        found = self._jobs.get(job)
        found.cancel()
        return describe_job(found)

    # ---------------------------------------------------------------- runs

    def list_runs(self, call: ToolCall) -> str:
        """List the runs below runs/, with their fitness."""
        return run_text.list_runs(searches.RUNS)

    def show_run(self, call: ToolCall, run: RunName) -> str:
        """Show a run: its candidates, and its result beside the environment reward and random actions."""
        return run_text.describe_run(Run.open(Path(run)))

    def read_reflection(self, call: ToolCall, run: RunName, candidate: Candidate = BEST) -> str:
        """Read how a candidate did: its program, fitness, alarms, and the reflection on its training and episodes."""
        opened = Run.open(Path(run))
        return run_text.describe_candidate(opened, find_candidate(opened, candidate))

    def evaluate_policy(
        self,
        call: ToolCall,
        run: RunName,
        candidate: Candidate = BEST,
        episodes: Annotated[int, Field(ge=1, le=1_000, description="Held-out episodes per policy.")] = 20,
    ) -> str:
        """Measure the trained policies of a candidate on held-out episodes; returns a job at once.

        A search has measured its candidates on the episodes by which it chose between them; these are other ones.
        """
        opened = Run.open(Path(run))
        owner = run_text.choose_owner(opened, candidate)
        recorded = video.list_episodes(opened, owner)
        trusted_runs.check_trusted(opened, executor_is_given=True)
        folders = {item.training: item.folder for item in recorded}
        handle = self._jobs.choose_evaluation_handle()
        job = self._jobs.start(handle, lambda job: _evaluate_policies(job, opened, list(folders.values()), episodes))
        return f"job: {job.handle}\nstate: running\n{len(folders)} policies of {owner}, {episodes} episodes each"

    def compare_programs(
        self,
        call: ToolCall,
        programs: Annotated[
            list[str], Field(min_length=2, description="Runs, candidates such as runs/x:g0c01, or reward files.")
        ],
        env: Annotated[str | None, Field(description="The environment, where all of them are files.")] = None,
    ) -> str:
        """Compare reward programs: their fitness, their terms, and how differently they order policies."""
        with tempfile.TemporaryDirectory() as folder:
            return run_text.describe_comparison(compare.compare_programs(programs, Path(folder), env))

    def show_frames(
        self,
        call: ToolCall,
        run: RunName,
        candidate: Candidate = BEST,
        frames: Annotated[int, Field(ge=1, le=MAX_FRAMES, description="How many, spread over the episode.")] = 4,
    ) -> ShownFrames:
        """Show frames of a candidate's episode of median fitness: look at them before you believe a number."""
        opened = Run.open(Path(run))
        owner = run_text.choose_owner(opened, candidate)
        recorded = video.list_episodes(opened, owner)
        trusted_runs.check_trusted(opened, executor_is_given=True)
        shown = recorded[video.median_episode(recorded)]
        steps = spread_steps(list(range(shown.episode.length + 1)), frames)

        notices: list[str] = []
        with setup.open_run_executor(opened, notices.append) as executor:
            files = FrameRenderer(executor, notices.append).render_frames(shown.folder, shown.episode, steps)
        if not files:
            raise RunError(notices[-1] if notices else f"no frames of {owner} could be rendered")
        end = "ended by the environment" if shown.episode.terminated else "ended at the time limit"
        text = f"{owner}, fitness {shown.episode.fitness:g}, {shown.episode.length} steps, {end}; steps {sorted(files)}"
        return ShownFrames(text, tuple(files[step].read_bytes() for step in sorted(files)))

    def export_program(
        self,
        call: ToolCall,
        run: RunName,
        out: Annotated[str, Field(description="The Python file to write, in the server's folder.")] = "reward.py",
        candidate: Candidate = BEST,
    ) -> str:
        """Export a program as one file with a Gymnasium wrapper that does not need rewardsmith.

        Only a program whose text does nothing but compute on arrays is exported; an existing file is not overwritten.
        """
        from rewardsmith.report.export.exporter import describe_rights, spell_make_call

        path = _check_new_file(out)
        opened = Run.open(Path(run))
        path.write_text(export_candidate(opened, candidate), encoding="utf-8")
        use = f"from {path.stem} import RewardWrapper; env = RewardWrapper({spell_make_call(opened.task.env)})"
        return f"written: {path}\nuse it with: {use}\n{describe_rights(False)}"


def measure_run(job: BackgroundJob, run: Run) -> str:
    """Train and measure the one program of a run, or go on with a search that needs no agent."""
    trusted_runs.check_trusted(run)
    with searches.discard_unused(run), setup.open_run_executor(run, job.progress.on_notice) as executor:
        job.add_cleanup(executor.close)
        result = searches.continue_run(run, job.progress, executor)
    return run_text.describe_result(result, run.path)


def _evaluate_policies(job: BackgroundJob, run: Run, folders: Sequence[Path], episodes: int) -> str:
    """Run the policies of earlier evaluations on the held-out episodes of the report."""
    seeds = evaluator.episode_seeds(run.config, evaluator.REPORT, episodes)
    lines, means = [], []
    with tempfile.TemporaryDirectory() as work, setup.open_run_executor(run, job.progress.on_notice) as executor:
        job.add_cleanup(executor.close)
        for number, folder in enumerate(folders):
            earlier = run.read_record(EvaluateJob, folder / "job.json")
            policy = folder.with_name(Path(earlier.policy).name).resolve() if earlier.policy else None
            again = replace(earlier, policy=str(policy) if policy else None, seeds=seeds)
            evaluation = executor.run(again, Path(work) / str(number))
            if evaluation.fitness is None:
                raise RunError(f"{folder}: no result: {evaluation.cause}")
            values = confidence_interval([episode.fitness for episode in evaluation.episodes], run.task.fitness)
            means.append(evaluation.fitness)
            lines.append(
                f"{folder.name.removeprefix('eval-')}: {format_estimate(values) if values else '–'} over episodes"
            )
            lines += [f"  {name} = {value:.4g}" for name, value in evaluation.metrics.items() if value is not None]
    total = confidence_interval(means, run.task.fitness)
    summary = f"fitness {format_estimate(total)} over {len(means)} training seeds" if total else "no policy"
    return "\n".join([summary, f"fitness = {run.task.fitness}", *lines])


def _describe_card_or_env(card: Any, env_id: str) -> str:
    if card is None:
        return f"{env_id}: no task card; a search needs a sentence and a fitness expression over the signals below."
    lines = [
        f"{card.name}: {card.env_about}",
        f"Task: {card.text}",
        f"Fitness: {card.fitness}",
        f"Action: {card.action}",
    ]
    lines += [f"Metric {metric.name} = {metric.expression}: {metric.meaning}" for metric in card.metrics]
    return "\n".join(lines)


def _render_signals(signals: Sequence[Signal], card_signal_count: int) -> str:
    from rewardsmith.search.steps.designer.signal_table import render_signal_table

    return render_signal_table(signals, card_signal_count, SIGNAL_TOKENS)


def _check_new_file(out: str) -> Path:
    """Return the path of a file that may be written.

    Raises:
        RunError: if it is no Python file inside the server's folder, or exists.
    """
    path = Path(out)
    if path.suffix != ".py" or not path.resolve().is_relative_to(Path.cwd()):
        raise RunError(f"out={out!r}: name a new .py file inside {Path.cwd()}")
    if path.exists():
        raise RunError(f"{out} exists; name another file")
    return path
