"""Parts that every page and every form of one studio shares: its runs, its commands, its templates."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote

from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from rewardsmith.contract.records import Candidate
from rewardsmith.report import charts
from rewardsmith.report.text import replace_control_chars
from rewardsmith.studio import run_state
from rewardsmith.studio.run_index import RunIndex, RunRef
from rewardsmith.studio.run_state import RunState
from rewardsmith.studio.subprocesses import Subprocesses

STUDIO_DIR = Path(__file__).parent
RATER, THEME = "rewardsmith_rater", "rewardsmith_theme"
"""Cookies: the name of the person who gives feedback; light or dark."""
FLASH_MESSAGES = {
    "remark": "Recorded. The next generation uses it.",
    "preference": "Your answer is recorded.",
    "pinned": "Pinned: every later program keeps the term.",
    "banned": "Banned: no later program may have the term.",
    "released": "Released: the term is neither pinned nor banned.",
    "weights": "The next generation trains the program with these weights.",
    "program": "The next generation trains your program.",
    "undone": "Undone: later generations run as if it had not been said.",
    "started": "Started. This page updates by itself.",
    "stopping": "Stopping. Finished work is kept.",
    "rendering": "The video is being rendered and appears here when it is ready.",
}
"""Messages after a form; an address names one of them, so that it cannot put other words on a page."""


@dataclass(frozen=True)
class StudioContext:
    """The parts of one studio."""

    index: RunIndex
    subprocesses: Subprocesses
    write_lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while an input is written, so that two tabs do not block each other's access to the journal."""


def get_context(request: Request) -> StudioContext:
    """Return the studio that a request is for."""
    context: StudioContext = request.app.state.context
    return context


def get_run_ref(request: Request) -> RunRef:
    """Return the run that an address names.

    Raises:
        HTTPException: 404 if there is no such run.
    """
    ref = get_context(request).index.find_run(request.path_params["slug"])
    if ref is None:
        raise HTTPException(404, "There is no such run here.")
    return ref


def get_run_state(request: Request) -> RunState:
    """Read the state of the run that an address names.

    Raises:
        HTTPException: 404 if there is no such run.
        RunError: if it cannot be read.
    """
    return run_state.load_run_state(get_run_ref(request))


def get_candidate(state: RunState, id: str) -> Candidate:
    """Return a candidate of a run.

    Raises:
        HTTPException: 404 if no candidate has that id.
    """
    candidate = state.find_candidate(id)
    if candidate is None:
        raise HTTPException(404, "This run has no such candidate.")
    return candidate


def render_page(request: Request, template: str, status: int = 200, **values: object) -> Response:
    """Render a page from a template and its values."""
    theme = request.cookies.get(THEME, "")
    common = {
        "theme": theme if theme in ("light", "dark") else "",
        "rater": get_rater(request),
        "flash": get_flash_message(request),
    }
    return HTMLResponse(load_templates().get_template(template).render({**common, **values}), status)


def get_flash_message(request: Request) -> str | None:
    """Return the message after a form; None where no form was sent."""
    return FLASH_MESSAGES.get(request.query_params.get("ok", ""))


def redirect_back(address: str, message: str, by: str = "") -> Response:
    """Redirect to a page after a form.

    Args:
        address: of the page.
        message: key of the message that the page shows.
        by: name of the person, which is remembered in a cookie.
    """
    response = RedirectResponse(f"{address}{'&' if '?' in address else '?'}ok={message}", 303)
    if by:
        response.set_cookie(RATER, quote(by), max_age=365 * 86_400, httponly=True, samesite="strict", path="/")
    return response


def get_rater(request: Request) -> str:
    """Return the name that the person gave last; empty where none was given."""
    return replace_control_chars(unquote(request.cookies.get(RATER, "")))[:60]


def build_address(*parts: str) -> str:
    """Build the address of a run's page.

    >>> build_address("~67a5", "c", "g0c01")
    '/r/~67a5/c/g0c01'
    """
    return "/r/" + "/".join(quote(part, safe="~") for part in parts)


@cache
def load_templates() -> Environment:
    """Load the templates: all values are escaped, and an undefined name is an error."""
    environment = charts.make_environment(STUDIO_DIR / "templates")
    environment.filters.update(author=run_state.describe_author)
    environment.globals.update(address=build_address)
    return environment
