"""What every page and every form of one studio shares: its runs, its commands, its templates."""

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
from rewardsmith.report.text import plain
from rewardsmith.studio import run_state
from rewardsmith.studio.run_index import Place, Shelf
from rewardsmith.studio.run_state import Facts
from rewardsmith.studio.subprocesses import Children

HERE = Path(__file__).parent
RATER, THEME = "rewardsmith_rater", "rewardsmith_theme"
"""Cookies: who rates, and light or dark."""
SAID = {
    "said": "Noted. The next generation will be told.",
    "preferred": "Your answer is recorded.",
    "pinned": "The term will stay.",
    "banned": "The term must not come back.",
    "released": "The term is free again.",
    "weighed": "These weights will be tried in the next generation.",
    "edited": "Your program will be tried in the next generation.",
    "begun": "It begins; this page follows it.",
    "stopping": "It stops in an orderly way; what is done is kept.",
    "rendering": "The video is being rendered; it appears here when it is done.",
}
"""What a page says after a form; an address can only name one of these, not words of its own."""


@dataclass(frozen=True)
class Desk:
    """One studio."""

    shelf: Shelf
    children: Children
    writing: threading.Lock = field(default_factory=threading.Lock)
    """Held while an input is written, so that two tabs do not refuse each other the journal."""


def desk(request: Request) -> Desk:
    """Return the studio that a request is for."""
    found: Desk = request.app.state.desk
    return found


def place(request: Request) -> Place:
    """Return the run that an address names.

    Raises:
        HTTPException: 404 if there is none.
    """
    found = desk(request).shelf.find(request.path_params["slug"])
    if found is None:
        raise HTTPException(404, "There is no such run here.")
    return found


def known(request: Request) -> Facts:
    """Return what is known of the run that an address names.

    Raises:
        HTTPException: 404 if there is none.
        RunError: if it cannot be read.
    """
    return run_state.facts(place(request))


def named(about: Facts, id: str) -> Candidate:
    """Return a candidate of a run.

    Raises:
        HTTPException: 404 if there is none of that id.
    """
    found = about.candidate(id)
    if found is None:
        raise HTTPException(404, "This run has no such candidate.")
    return found


def page(request: Request, template: str, status: int = 200, **values: object) -> Response:
    """Render a page."""
    theme = request.cookies.get(THEME, "")
    common = {
        "theme": theme if theme in ("light", "dark") else "",
        "rater": rater(request),
        "flash": flash(request),
        "single": desk(request).shelf.single,
    }
    return HTMLResponse(templates().get_template(template).render({**common, **values}), status)


def flash(request: Request) -> str | None:
    """Return what a page says after a form; None where none was sent."""
    return SAID.get(request.query_params.get("ok", ""))


def back(address: str, ok: str, by: str = "") -> Response:
    """Return to a page after a form, with a word about what happened."""
    response = RedirectResponse(f"{address}{'&' if '?' in address else '?'}ok={ok}", 303)
    if by:
        response.set_cookie(RATER, quote(by), max_age=365 * 86_400, httponly=True, samesite="strict", path="/")
    return response


def rater(request: Request) -> str:
    """Return the name that the person gave last; empty where none was given."""
    return plain(unquote(request.cookies.get(RATER, "")))[:60]


def address(*parts: str) -> str:
    """Return the address of a run's page.

    >>> address("~67a5", "c", "g0c01")
    '/r/~67a5/c/g0c01'
    """
    return "/r/" + "/".join(quote(part, safe="~") for part in parts)


@cache
def templates() -> Environment:
    """Return the templates: everything in them is escaped, and an undefined name is an error."""
    environment = charts.environment(HERE / "templates")
    environment.filters.update(label=run_state.label)
    environment.globals.update(address=address)
    return environment
