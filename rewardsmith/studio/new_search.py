"""The form of a new search: what it asks, the time that the search would take, and its start."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rewardsmith.api.plan_size import PlanSize, describe_size
from rewardsmith.api.planning import SearchPlan, plan_search
from rewardsmith.contract.errors import UserError
from rewardsmith.search.storage.run import choose_run_path
from rewardsmith.spec.env_options import read_env_options
from rewardsmith.spec.presets import list_preset_names
from rewardsmith.spec.settings import SearchSettings
from rewardsmith.spec.task_cards import load_cards
from rewardsmith.studio import pages
from rewardsmith.studio.context import get_context, redirect_back, render_page
from rewardsmith.studio.forms import Form, handle_form
from rewardsmith.studio.run_index import make_slug

SIZE_FIELDS = {"population": "population", "generations": "generations", "steps": "env_steps", "seeds": "seeds"}
"""Fields that are whole numbers, which are options of `design`, and their settings."""
TEXT_FIELDS = ("env", "fitness", "model", "preset", "search")
LINE_FIELDS = ("behaviour", "signal")
"""Fields of which each line is an option of `design`."""
STRATEGIES: tuple[str, ...] = get_args(SearchSettings.model_fields["strategy"].annotation)


def show_new_search(request: Request) -> Response:
    """Show the form of a new search."""
    _require_folder(request)
    return _render_form(request, {})


@handle_form
def start_search(request: Request, fields: Form) -> Response:
    """Start a search in the folder of runs, or show what it would take if the button "Estimate" was pressed."""
    _require_folder(request)
    context = get_context(request)

    # The same checks as those of the command, so that the form comes back with what is wrong.
    try:
        plan = _plan_search(fields)
    except UserError as error:
        return _render_form(request, fields, problem=str(error))
    if fields.get("then") == "estimate":
        return _render_form(request, fields, expectation=describe_size(plan))

    path = choose_run_path(context.index.path, plan.task, datetime.now())
    given = [(name, fields.get(name, "").strip()) for name in (*TEXT_FIELDS, *SIZE_FIELDS)]
    given += [(name, line) for name in LINE_FIELDS for line in _read_lines(fields, name)]
    options = [f"--{name}={value}" for name, value in (*given, ("out", str(path))) if value]
    command = ["design", *options, "--", fields.get("text", "").strip()]
    context.subprocesses.start(pages.SEARCH_KEY + make_slug(path.name), command)
    return redirect_back("/", "started")


def _render_form(
    request: Request, fields: Form, problem: str | None = None, expectation: PlanSize | None = None
) -> Response:
    """Render the form as it was filled in."""
    environments = [(card.name, f"{card.env.env_id}: {card.text}") for card in load_cards()]
    return render_page(
        request,
        "new.html",
        422 if problem else 200,
        problem=problem,
        fields=fields,
        expectation=expectation,
        environments=environments,
        presets=list_preset_names(),
        strategies=STRATEGIES,
    )


def _plan_search(fields: Form) -> SearchPlan:
    """Plan the search of a form.

    Raises:
        UserError: if the task, the fitness or a setting is wrong.
    """
    text = fields.get("text", "").strip()
    env, fitness, model, preset, strategy = (fields.get(name, "").strip() for name in TEXT_FIELDS)
    overrides: dict[str, Any] = {"search": _read_sizes(fields)}
    if strategy:
        overrides["search"] |= {"strategy": strategy}
    if model:
        overrides["llm"] = {"model": model}
    if preset:
        if preset not in list_preset_names():
            raise UserError(f"there is no preset {preset[:40]!r}; there are: {', '.join(list_preset_names())}")
        overrides["preset"] = preset
    return plan_search(
        text,
        env,
        fitness or None,
        overrides=overrides,
        env_options=read_env_options(None, signals=_read_lines(fields, "signal")),
        behaviour=_read_lines(fields, "behaviour"),
    )


def _read_lines(fields: Form, name: str) -> list[str]:
    """Return the lines of a field that have text."""
    return [line.strip() for line in fields.get(name, "").splitlines() if line.strip()]


def _read_sizes(fields: Form) -> dict[str, int]:
    """Return the sizes of a search that the form gives, by the names of their settings.

    Raises:
        UserError: if one is not a whole number.
    """
    sizes = {}
    for name, setting in SIZE_FIELDS.items():
        text = fields.get(name, "").strip()
        if not text:
            continue
        if not (text.isascii() and text.isdigit()):
            raise UserError("population, generations, steps and seeds are whole numbers")
        sizes[setting] = int(text)
    return sizes


def _require_folder(request: Request) -> None:
    """Refuse a new search in the studio of a single run."""
    if get_context(request).index.is_single_run:
        raise HTTPException(404, "This studio shows one run; open one on a folder of runs to start another search.")
