"""Who writes a run's programs: its language models, its designer, and what the designer is shown of the library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rewardsmith.contract import records
from rewardsmith.contract.records import Example
from rewardsmith.search.callbacks import Watch
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import Layer

if TYPE_CHECKING:
    from rewardsmith.llm import Models
    from rewardsmith.search.steps.designer import Designer

SYMBOLIC = "the symbolic designer reads no language: fitness alone drives it"


@contextmanager
def models(run: Run, watch: Watch) -> Iterator[Models | None]:
    """Open the language models of a run; None where nobody asks one.

    Raises:
        ConfigError: if the run names an endpoint that is not known on this machine.
    """
    if not run.config.roles:
        yield None
        return
    check_endpoints(run)
    from rewardsmith import llm

    config = run.config
    built = llm.build(config.llm, config.budget, run.path / "llm.jsonl", roles=config.roles, notice=watch.notice)
    try:
        yield built
    finally:
        built.close()


def check_endpoints(run: Run) -> None:
    """Make sure that a run sends no key where the user of this machine never sent one.

    Raises:
        ConfigError: if it would.
    """
    if run.config.roles:
        from rewardsmith.llm import trusted_endpoints

        trusted_endpoints.check(run.config.llm, run.config.roles, run.path)


def trust_endpoints(run: Run, named: Layer | None = None) -> None:
    """Take the endpoints of a run as the user's own; with `named`, those that this part of its configuration names."""
    if run.config.roles:
        from rewardsmith.llm import trusted_endpoints

        trusted_endpoints.trust(run.config.llm, run.config.roles, named)


def designer(run: Run, models: Models | None, watch: Watch) -> Designer:
    """Make the designer that the configuration names; the user's own program comes before its own."""
    from rewardsmith.search.steps.designer.user_program import GivenFirst

    source = run.user_program()
    author = _author(run, models, watch)
    return author if source is None else GivenFirst(author, source)


def _author(run: Run, models: Models | None, watch: Watch) -> Designer:
    if run.config.search.designer == "llm":
        from rewardsmith.search.steps.designer.llm_designer import LlmDesigner
        from rewardsmith.search.steps.designer.prompt_builder import Manner

        assert models is not None  # the designer is one of the roles
        config = run.config
        manner = Manner(config.designer, config.sandbox.max_terms, config.llm.catalogue_tokens, examples(run, watch))
        return LlmDesigner(models.of("designer"), manner)
    from rewardsmith.search.steps.designer.enforce_terms import Heeding
    from rewardsmith.search.steps.designer.symbolic import SymbolicDesigner

    watch.notice(SYMBOLIC)
    return Heeding(SymbolicDesigner())


def examples(run: Run, watch: Watch) -> tuple[Example, ...]:
    """Return the programs of the library that prompts show; a run keeps to those that it began with."""
    from rewardsmith.search import library

    settings, env = run.config.designer, run.task.env
    kept = run.path / "examples.json"
    if not settings.examples:
        return ()
    if kept.is_file():
        return tuple(records.read(list[Example], kept))
    known = [one for one in library.entries() if settings.examples_same_env or one.env_id != env.env_id]
    found = library.nearest(known, run.task.text, env.env_id, [signal.name for signal in env.signals])
    chosen = [entry.example for entry, _ in found[: settings.examples]]
    if len(chosen) < settings.examples:
        watch.notice(f"the reward library has {len(chosen)} of the {settings.examples} examples that are asked for")
    records.write(chosen, kept)
    return tuple(chosen)
