"""Setup of a search: its language models, its executor, its designer, and the library programs that prompts show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import TYPE_CHECKING

from rewardsmith import executors
from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import Example
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.search import trusted_runs
from rewardsmith.search.callbacks import SearchCallback
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import Layer
from rewardsmith.spec.labelling import list_roles
from rewardsmith.spec.subgoals import list_subgoal_signals

if TYPE_CHECKING:
    from rewardsmith.executors.base import Executor
    from rewardsmith.llm import ModelConnection, ModelPool
    from rewardsmith.search.steps.designer import Designer

SYMBOLIC_NOTICE = "the symbolic designer ignores the text; only the fitness guides it"


@contextmanager
def open_models(
    run: Run, callback: SearchCallback, coding_agent: ModelConnection | None = None
) -> Iterator[ModelPool | None]:
    """Open the language models of a run; None where no role asks one.

    Args:
        run: the run.
        callback: receives a notice when a call has to be repeated.
        coding_agent: the agent of a search whose designer is one; None where none is connected.

    Raises:
        ConfigError: if the run names an endpoint that is not known on this machine, or it is new and its designer is a
            coding agent that is not there.
    """
    roles, config, designer = list_roles(run.config, run.task.env), run.config, None
    if not roles and config.search.designer != "coding-agent":
        yield None
        return
    check_endpoints(run)
    from rewardsmith import llm

    if config.search.designer == "coding-agent":
        if coding_agent is None and run.is_new:
            raise ConfigError(
                "search.designer = 'coding-agent': a coding agent starts such a search itself, by start_search on the "
                "server `rewardsmith mcp`; without an agent take --designer llm or symbolic"
            )
        designer = coding_agent or llm.AbsentAgent(run.path)
    models = llm.build_model_pool(
        settings=config.llm,
        limits=config.budget,
        path=run.layout.ledger,
        roles=roles,
        notice=callback.on_notice,
        coding_agent=designer,
    )
    try:
        yield models
    finally:
        models.close()


def open_run_executor(
    run: Run, notice: Callable[[str], None], given: Executor | None = None
) -> AbstractContextManager[Executor]:
    """Open the executor that a run names; its workers find the module of the run's environment.

    Args:
        run: the run.
        notice: called with each warning about the executor.
        given: an open executor, which is taken in its place and stays open; None without one.

    Raises:
        ConfigError: if the executor's package is not installed, or its address is wrong.
        RunError: if its cluster does not answer, or one of its nodes cannot do the jobs.
    """
    if given is not None:
        return nullcontext(given)
    return executors.open_executor(run.config, notice, trusted_runs.find_module_folder(run))


def open_local_worker(run: Run) -> AbstractContextManager[Executor]:
    """Open an executor of one job at a time on this machine, whatever the run names; it finds the run's module."""
    limits, module_folder = run.config.limits, trusted_runs.find_module_folder(run)
    return closing(LocalExecutor(1, limits.job_s, limits.memory_mib, module_folder))


def check_endpoints(run: Run) -> None:
    """Make sure that a run sends no key where the user of this machine never sent one.

    Raises:
        ConfigError: if it would.
    """
    roles = list_roles(run.config, run.task.env)
    if roles:
        from rewardsmith.llm import trusted_endpoints

        trusted_endpoints.check_trusted(run.config.llm, roles, run.path)


def trust_endpoints(run: Run, named: Layer | None = None) -> None:
    """Remember the endpoints of a run as the user's own; with `named`, those that this part of its settings names."""
    roles = list_roles(run.config, run.task.env)
    if roles:
        from rewardsmith.llm import trusted_endpoints

        trusted_endpoints.remember_endpoints(run.config.llm, roles, named)


def build_designer(run: Run, models: ModelPool | None, callback: SearchCallback) -> Designer:
    """Build the designer that the configuration names; the user's own program comes before its own."""
    from rewardsmith.search.steps.designer.user_program import UserProgramFirst

    source = run.read_user_program()
    designer = _build_configured_designer(run, models, callback)
    return designer if source is None else UserProgramFirst(designer, source)


def select_examples(run: Run, callback: SearchCallback) -> tuple[Example, ...]:
    """Return the programs of the library that prompts show; a run keeps the selection that it began with."""
    from rewardsmith.search import library

    settings, env, file = run.config.designer, run.task.env, run.layout.examples
    if not settings.examples:
        return ()
    if file.is_file():
        return tuple(run.read_record(list[Example], file))

    entries = [entry for entry in library.load_entries() if settings.examples_same_env or entry.env_id != env.env_id]
    signals = [signal.name for signal in env.signals]
    by_similarity = library.rank_by_similarity(entries, run.task.text, env.env_id, signals)
    examples = [entry.example for entry, _ in by_similarity[: settings.examples]]
    if len(examples) < settings.examples:
        wanted = f"{settings.examples} examples that are asked for"
        callback.on_notice(f"the reward library has {len(examples)} of the {wanted}")
    records.write(examples, file)
    return tuple(examples)


def _build_configured_designer(run: Run, models: ModelPool | None, callback: SearchCallback) -> Designer:
    if run.config.search.prompts_designer:
        from rewardsmith.search.steps.designer.llm_designer import LlmDesigner
        from rewardsmith.search.steps.designer.prompt_builder import PromptOptions

        assert models is not None  # the designer is one of the roles
        config = run.config
        examples = select_examples(run, callback)
        options = PromptOptions(
            settings=config.designer,
            max_terms=config.sandbox.max_terms,
            catalogue_tokens=config.llm.catalogue_tokens,
            examples=examples,
            from_scratch=not (config.search.warm_start or run.task.stages),
        )
        return LlmDesigner(models.for_role("designer"), options)
    if run.config.search.designer == "subgoals":
        from rewardsmith.search.steps.designer.subgoal_reward import SubgoalDesigner

        return SubgoalDesigner(list_subgoal_signals(run.task.env)[0].name)
    from rewardsmith.search.steps.designer.enforce_terms import TermEnforcer
    from rewardsmith.search.steps.designer.symbolic import SymbolicDesigner

    callback.on_notice(SYMBOLIC_NOTICE)
    return TermEnforcer(SymbolicDesigner())
