"""Runs of searches, for the commands and the Python calls (`calls`): create a planned one, continue it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.api import fitness_proposals, logs, signal_proposals
from rewardsmith.api.planning import SearchPlan
from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError, RewardsmithError, RunError, TaskError, UnwritableRun, UserError
from rewardsmith.contract.records import Result
from rewardsmith.contract.records.fitness import AUTO_FITNESS
from rewardsmith.contract.reward_files import load_reward
from rewardsmith.contract.reward_program import RewardProgram, parse_program
from rewardsmith.search import setup, trusted_runs
from rewardsmith.search.callbacks import CallbackList, NullCallback, SearchCallback
from rewardsmith.search.storage import Journal, Run, RunLayout
from rewardsmith.search.storage.journal import unwritable_error
from rewardsmith.search.storage.run import choose_run_path
from rewardsmith.search.storage.sessions import begin_session
from rewardsmith.spec import labelling, task_warnings

if TYPE_CHECKING:
    from rewardsmith.executors.base import Executor
    from rewardsmith.llm import ModelConnection

RUNS = Path("runs")


def create_run(
    plan: SearchPlan, out: Path | None = None, seed_reward: Path | None = None, measured: RewardProgram | None = None
) -> Run:
    """Make the run directory of a planned search.

    Args:
        plan: from `planning`.
        out: the directory; None makes one below `runs/`.
        seed_reward: the user's own program, which generation 0 begins with.
        measured: the one program that the run trains and measures, in place of a search.

    Raises:
        ProgramError: if the user's program cannot be read or is not valid.
        RunError: if the directory cannot be made or is not empty.
        ConfigError: if the language model's name, key or price is missing, or its designer cannot name the terms of
            `training.constraints`.
        TaskError: if the task's card has unfilled fields, which a language model would be shown.
    """
    designer = plan.config.search.designer
    if plan.config.training.constraints and not plan.config.search.prompts_designer and measured is None:
        raise ConfigError(
            f"training.constraints needs a designer that names its terms, and {designer!r} does not: name a model"
            " (--model NAME), or train a program of yours with `rewardsmith train FILE`"
        )
    source = load_reward(seed_reward).source if seed_reward else None
    path = out or choose_run_path(RUNS, plan.task, datetime.now())
    prompts_digest = _prepare_models(plan, path)
    # The stages of a card are searches; one program is measured from nothing.
    task = replace(plan.task, stages=()) if measured is not None else plan.task
    run = Run.create(path, task, plan.config, prompts_digest)
    trusted_runs.remember_run(run, Path.cwd())
    if source is not None:
        records.write_text(run.layout.user_program, source)
    if measured is not None:
        records.write_text(run.layout.measured_program, measured.source)
    return run


@contextmanager
def discard_unused(run: Run) -> Iterator[None]:
    """Remove a new run's directory if a user error ends the block before anything was paid for.

    A directory that could not be written stays: it is resumed when that is mended.
    """
    try:
        yield
    except UserError as error:
        if run.is_new and not isinstance(error, UnwritableRun):
            run.discard_if_unused()
        raise


def _prepare_models(plan: SearchPlan, path: Path) -> str | None:
    """Make sure that the language models of a new run can be asked; return the hash of the prompts that it writes.

    Raises:
        ConfigError: if a model's name, key or price is missing.
        TaskError: if the task's card has unfilled fields.
    """
    config, task = plan.config, plan.task
    roles = labelling.list_roles(config, task.env)
    if not roles and not config.asks_in_words:
        return None
    from rewardsmith import llm
    from rewardsmith.llm import prompts, trusted_endpoints

    warning = task_warnings.unfilled_card_warning(task)
    if warning:
        raise TaskError(f"{warning}; fill it in, or name the environment {task.env.env_id} with a --fitness")
    llm.check_models(config.llm, config.budget, roles, RunLayout(path).ledger)
    trusted_endpoints.remember_endpoints(config.llm, roles)
    return prompts.hash_prompts()


def continue_run(
    run: Run,
    callback: SearchCallback | None = None,
    executor: Executor | None = None,
    coding_agent: ModelConnection | None = None,
) -> Result:
    """Run a search, or the measurement of one program, to its end; one that was interrupted goes on where it stopped.

    The result of a finished run is returned at once, unless a failure of the machine ended some of its trainings: those
    are tried again. While it runs, its course is written to `log.txt` in the run directory.

    Args:
        run: the run.
        callback: receives the events of the search.
        executor: where jobs run; None runs them on this machine, as the configuration says.
        coding_agent: the agent that writes the programs, where the run's designer is one.

    Raises:
        UserError: if something is wrong that the user can correct; ProgramError, if the critic refuses the one program.
        RunFailed: if it ends without a result; what is done stays done.
    """
    from rewardsmith.report import trackers
    from rewardsmith.search.caption_labeller import open_labeller
    from rewardsmith.search.final_evaluation import measure_program
    from rewardsmith.search.loop import Search

    callback = callback or NullCallback()
    earlier_result = find_complete_result(run)
    if earlier_result is not None:
        return earlier_result

    # What is settled before the first program: the fitness, the user's trust, subgoals, the stages before.
    if run.task.fitness == AUTO_FITNESS:
        raise fitness_proposals.build_unanswered_error()
    trusted_runs.check_trusted(run, executor_is_given=executor is not None)
    signal_proposals.settle_signals(run, callback, executor, coding_agent)
    if run.task.stages:
        waiting = _run_previous_stage(run, callback, executor, coding_agent)
        if waiting is not None:
            return waiting

    # The search, or the one program.
    with open_journal(run) as journal:
        callback = CallbackList([logs.LogCallback(), callback])
        begin_session(run, callback.on_notice)
        callback = trackers.add_trackers(run, callback)
        with (
            setup.open_models(run, callback, coding_agent) as models,
            setup.open_run_executor(run, callback.on_notice, executor) as opened,
            open_labeller(run, models, opened, callback.on_notice),
        ):
            measured = run.read_measured_program()
            if measured is not None:
                result = measure_program(run, parse_program(measured), journal, opened, callback)
            else:
                designer = setup.build_designer(run, models, callback)
                result = Search(run, journal, designer, opened, callback, models).run_search()
    _write_report(run, callback)
    return result


def _run_previous_stage(
    run: Run, callback: SearchCallback, executor: Executor | None, coding_agent: ModelConnection | None
) -> Result | None:
    """Run the search of the stage before to its end; return its outcome only where it waits for people."""
    from rewardsmith.search import curriculum, feedback
    from rewardsmith.search.probe import probe_environment

    # What every stage's fitness reads is checked before anything is trained.
    if run.read_probe() is None:
        with open_journal(run) as journal, setup.open_run_executor(run, callback.on_notice, executor) as opened:
            probe_environment(run, journal, opened, callback.on_notice)

    previous = curriculum.open_previous_stage(run)
    notices = curriculum.StageNotices(callback, len(run.task.stages))
    if find_complete_result(previous) is None:
        notices.on_notice(f"{previous.task.text} ({previous.config.search.env_steps:,} steps a training)")
    result = continue_run(previous, notices, executor, coding_agent)
    return result if feedback.is_waiting_reason(result.stopped) else None


def run_next_generation(
    run: Run, callback: SearchCallback | None = None, executor: Executor | None = None, *, by: str = ""
) -> Result:
    """Run one more generation, which takes the feedback since the last one into account, and report the best program.

    An interrupted search first finishes what it had begun. See `continue_run` for the arguments and for what it raises.
    """
    request_generation(run, by=by, executor_is_given=executor is not None)
    return continue_run(run, callback, executor)


def request_generation(run: Run, *, by: str = "", executor_is_given: bool = False) -> None:
    """Have one more generation run when the search goes on, if it may run on this machine.

    Raises:
        UserError: if the run was not started here and is not trusted, or its endpoint is not.
    """
    from rewardsmith.search import feedback

    trusted_runs.check_trusted(run, executor_is_given=executor_is_given)
    setup.check_endpoints(run)
    feedback.request_generation(run, by=by)


def find_complete_result(run: Run) -> Result | None:
    """Return a run's result if it is all that was asked for; None if a generation, ensemble or training is missing."""
    from rewardsmith.search import feedback, final_evaluation

    result = run.read_result()
    if result is None or result.stopped is not None:
        return None
    lacks_ensemble = result.ensemble is None and run.config.search.ensemble > 0
    reached = 1 + max(candidate.generation for candidate in result.candidates)
    if lacks_ensemble or reached < (feedback.load_state(run).target_generations or 0):
        return None
    return None if final_evaluation.lacks_results(run, result) else result


def _write_report(run: Run, callback: SearchCallback) -> None:
    """Write the run's report; a failure of that is only a notice, as the search has its result."""
    from rewardsmith.report import html

    try:
        html.write_report(run)
    except RewardsmithError as error:
        callback.on_notice(f"no report: {error}")


@contextmanager
def open_journal(run: Run) -> Iterator[Journal]:
    """Open a run for writing while the block runs: its journal, and its log (`logs`).

    Raises:
        RunError: if another process runs this directory, or a file of it cannot be written.
    """
    journal = run.open_journal()
    try:
        with logs.log_to(run.layout.log):
            yield journal
    except (OSError, RunError) as error:
        if not run.layout.config.is_file():
            raise UnwritableRun(
                f"the run directory {run.path} was removed or renamed while it ran; put it back and resume it"
            ) from error
        if isinstance(error, RunError) or error.filename is None or not Path(error.filename).is_relative_to(run.path):
            raise
        raise unwritable_error(Path(error.filename), error, run.path) from error
    finally:
        journal.close()
