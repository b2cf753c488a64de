"""Python calls of a search: `design`, `refine` and `resume`, which return a `SearchResult`; `load_result` reads one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewardsmith.api import fitness_proposals, searches
from rewardsmith.api.planning import plan_search
from rewardsmith.api.results import SearchResult
from rewardsmith.api.search_budget import parse_budget
from rewardsmith.contract.errors import ConfigError, RunError
from rewardsmith.search import feedback, setup, trusted_runs
from rewardsmith.search.callbacks import NullCallback, SearchCallback
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import merge_layer
from rewardsmith.spec.config_layers import nest_keys
from rewardsmith.spec.env_options import EnvOptions
from rewardsmith.spec.learned_signals import make_learned_signal
from rewardsmith.spec.task_cards import Task

if TYPE_CHECKING:
    from rewardsmith.search.fitness_proposal import AcceptFitness


def design(
    text: str | Task,
    env: str | None = None,
    *,
    fitness: str | None = None,
    out: Path | str | None = None,
    config: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed_reward: Path | str | None = None,
    callback: SearchCallback | None = None,
    budget_steps: int | None = None,
    budget_minutes: float | None = None,
    accept_fitness: AcceptFitness | None = None,
    behaviour: Sequence[str] = (),
    signals: Mapping[str, Mapping[str, Any]] | None = None,
) -> SearchResult:
    """Search for a reward program that makes an agent do what `text` says.

    >>> design("Hop forward", "Hopper-v5", settings={"search.designer": "symbolic"})  # doctest: +SKIP

    Args:
        text: what the agent should do, in a sentence; or a `Task`, which names its environment itself.
        env: a task's name or a Gymnasium id.
        fitness: an expression over the episode's signals; None takes the card's.
        out: the run directory; None makes one below `runs/`.
        config: a TOML configuration.
        settings: "section.key" to value, over everything else; "preset" to a preset's name.
        seed_reward: the user's own program, which generation 0 begins with.
        callback: receives the events of the search; None shows the progress in a notebook or on a terminal.
        budget_steps: environment steps of the whole search, which decide programs, generations and seeds.
        budget_minutes: minutes of its trainings, likewise; one of the two.
        accept_fitness: with the fitness "auto", is shown the model's proposal and returns whether it is accepted.
        behaviour: one or two descriptors for the archive of "map-elites", as "speed=mean(x_velocity):0:5:10".
        signals: learned signals, name to keys as in a card: {"reached": {"provider": "subgoals"}}.

    Raises:
        UserError: if something is wrong that the user can correct.
        RunFailed: if the search ends without a result; `resume` goes on from there.
    """
    sentence, target = _read_task(text, env)
    overrides = _nest_settings(settings or {})
    budget = parse_budget(budget_steps, budget_minutes)
    file = Path(config) if config else None
    learned = tuple(make_learned_signal(name, keys, "signals", Path.cwd()) for name, keys in (signals or {}).items())
    options = EnvOptions(signals=learned)
    plan = plan_search(
        sentence,
        target,
        fitness,
        file=file,
        overrides=overrides,
        env_options=options,
        budget=budget,
        behaviour=behaviour,
    )
    run = searches.create_run(plan, Path(out) if out else None, Path(seed_reward) if seed_reward else None)
    with searches.discard_unused(run):
        fitness_proposals.settle_fitness(run, accept_fitness, callback)
        return _continue_with_view(run, callback)


def refine(
    run: Path | str,
    remark: str | None = None,
    *,
    prefer: Sequence[tuple[str, str]] = (),
    pin: Sequence[str] = (),
    ban: Sequence[str] = (),
    weigh: Mapping[str, Mapping[str, float]] | None = None,
    by: str = "",
    callback: SearchCallback | None = None,
) -> SearchResult:
    """Record feedback on a search, and run one more generation that takes it into account.

    >>> refine("runs/hop", "it should not lean forward", prefer=[("g0c01", "g0c00")])  # doctest: +SKIP

    Args:
        run: the run directory.
        remark: what to change, in words; the prompts of later generations repeat it.
        prefer: pairs of candidates, or of episodes such as "g0c01/s0/3", the better one first.
        pin: terms that every later program must have.
        ban: terms that no later program may have.
        weigh: candidate to term to weight: programs with other weights, which the generation tries too.
        by: name of the person, where several rate.
        callback: as in `design`.

    Raises:
        UserError: if an input cannot be recorded; those before it are recorded.
        RunFailed: if the search ends without a result; `resume` goes on from there.
    """
    opened = Run.open(Path(run))
    trusted_runs.check_trusted(opened)
    setup.check_endpoints(opened)

    if remark is not None:
        feedback.add_remark(opened, remark, by=by)
    for better, worse in prefer:
        feedback.add_preference(opened, better, worse, by=by)
    for term in pin:
        feedback.pin_term(opened, term, by=by)
    for term in ban:
        feedback.ban_term(opened, term, by=by)
    for candidate, weights in (weigh or {}).items():
        feedback.submit_weights(opened, candidate, weights, by=by)

    feedback.request_generation(opened, by=by)
    return _continue_with_view(opened, callback)


def resume(
    run: Path | str,
    *,
    callback: SearchCallback | None = None,
    trust_endpoint: bool = False,
    trust: bool = False,
    accept_fitness: AcceptFitness | None = None,
) -> SearchResult:
    """Go on with a search that was interrupted; see `design` for what it returns and raises.

    >>> resume("runs/hop")  # doctest: +SKIP

    Args:
        run: the run directory.
        callback: receives the events of the search.
        trust_endpoint: send the key to the endpoint that the run names, also if it is not known on this machine.
        trust: do also what else a run from another machine asks for: its environment's module, its cluster.
        accept_fitness: as in `design`, for a run whose fitness was not accepted yet.
    """
    opened = Run.open(Path(run))
    if trust:
        trusted_runs.remember_run(opened)
    if trust or trust_endpoint:
        setup.trust_endpoints(opened)
    fitness_proposals.settle_fitness(opened, accept_fitness, callback)
    return _continue_with_view(opened, callback)


def load_result(run: Path | str) -> SearchResult:
    """Read the result of a search that has ended; nothing is run.

    >>> load_result("runs/hop")  # doctest: +SKIP

    Raises:
        RunError: if this is no run directory, or it has no result yet.
    """
    result = Run.open(Path(run)).read_result()
    if result is None:
        raise RunError(f"{run} has no result yet; rewardsmith.resume({str(run)!r}) goes on")
    return SearchResult.from_record(result)


def _continue_with_view(run: Run, callback: SearchCallback | None) -> SearchResult:
    with _open_default_view(run, callback) as view:
        return SearchResult.from_record(searches.continue_run(run, view))


@contextmanager
def _open_default_view(run: Run, callback: SearchCallback | None) -> Iterator[SearchCallback]:
    """Open what shows the progress: the caller's callback, else a view in the notebook or on the terminal."""
    from rewardsmith.report import live, notebook

    if callback is not None:
        yield callback
    elif notebook.is_notebook():
        yield notebook.NotebookView()
    elif sys.stdout.isatty():
        with live.open_view(sys.stdout, False, run) as view:
            yield view
    else:
        yield NullCallback()


def _read_task(text: str | Task, env: str | None) -> tuple[str, str | Task]:
    """Return the sentence, and the environment or task.

    Raises:
        ConfigError: if the environment is missing, or is given beside a task.
    """
    if isinstance(text, Task):
        if env is not None:
            raise ConfigError(f"the task names its environment, {text.env.env_id!r}; leave env out")
        return text.text, text
    if env is None:
        raise ConfigError("design(text, env): env is missing: a task's name or a Gymnasium id, such as 'Hopper-v5'")
    return text, env


def _nest_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as a layer of a configuration.

    >>> _nest_settings({"search.seeds": 2, "search.population": 4, "preset": "eureka"})
    {'search': {'seeds': 2, 'population': 4}, 'preset': 'eureka'}
    """
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        merge_layer(nested, nest_keys(name.split("."), value))
    return nested
