"""Forms of the studio: feedback, of which each input is one event of the run's journal, and commands."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import cast
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rewardsmith.contract import records
from rewardsmith.contract.errors import ProgramError, UserError
from rewardsmith.contract.records import Candidate
from rewardsmith.report.charts import code_listing
from rewardsmith.search import feedback
from rewardsmith.search.feedback import Answer
from rewardsmith.studio import pages
from rewardsmith.studio.context import (
    build_address,
    get_candidate,
    get_context,
    get_run_state,
    redirect_back,
    render_page,
)
from rewardsmith.studio.run_state import RunState
from rewardsmith.studio.security import MAX_BODY_BYTES

MAX_FIELDS = 200
Form = Mapping[str, str]
Action = Callable[[Request, Form], Response]


def handle_form(action: Action) -> Callable[[Request], Awaitable[Response]]:
    """Make a handler of an action: it reads the form's fields, and runs the action in its own thread."""

    @wraps(action)
    async def handler(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise HTTPException(413, f"A form has at most {MAX_BODY_BYTES:,} bytes.")
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise HTTPException(400, "This is not a form of a page of the studio.") from error
        fields = {name: value.replace("\r\n", "\n") for name, value in pairs}
        return await run_in_threadpool(action, request, fields)

    return handler


# ---------------------------------------------------------------- feedback


@handle_form
def add_remark(request: Request, fields: Form) -> Response:
    """Record a remark in words."""
    state, by = get_run_state(request), _read_rater(fields)
    about = get_candidate(state, fields["about"]).id if fields.get("about") else None
    with get_context(request).write_lock:
        feedback.add_remark(state.run, fields.get("text", ""), by=by, about=about)
    return redirect_back(_build_page_address(state, about), "remark", by)


@handle_form
def add_preference(request: Request, fields: Form) -> Response:
    """Record an answer to which of two is better."""
    state, by = get_run_state(request), _read_rater(fields)
    a, b, reason = fields.get("a", ""), fields.get("b", ""), fields.get("reason", "")
    answer = cast(Answer, fields.get("answer", ""))  # checked where it is recorded
    with get_context(request).write_lock:
        feedback.add_preference(state.run, a, b, answer, reason=reason, by=by)
    return redirect_back(build_address(state.ref.slug, "compare"), "preference", by)


@handle_form
def change_constraint(request: Request, fields: Form) -> Response:
    """Pin a term, ban it, or release it; the field `pick` is such as "pin height"."""
    state, by = get_run_state(request), _read_rater(fields)
    (action, _, term), id = fields.get("pick", "").partition(" "), fields.get("candidate") or None
    if id:
        get_candidate(state, id)

    with get_context(request).write_lock:
        if action == "pin":
            feedback.pin_term(state.run, term, candidate=id, by=by)
        elif action == "ban":
            feedback.ban_term(state.run, term, candidate=id, by=by)
        elif action == "release":
            feedback.release_term(state.run, term, by=by)
        else:
            raise UserError("a term can be pinned, banned or released")

    message = {"pin": "pinned", "ban": "banned", "release": "released"}[action]
    return redirect_back(_build_page_address(state, id), message, by)


@handle_form
def submit_weights(request: Request, fields: Form) -> Response:
    """Record other weights for a candidate's program."""
    state, by = get_run_state(request), _read_rater(fields)
    candidate = get_candidate(state, request.path_params["id"])
    weights = _read_changed_weights(pages.list_terms(state, candidate), fields)
    with get_context(request).write_lock:
        feedback.submit_weights(state.run, candidate.id, weights, by=by)
    return redirect_back(_build_page_address(state, candidate.id), "weights", by)


@handle_form
def submit_program(request: Request, fields: Form) -> Response:
    """Record a program that the person edited; one that the critic refuses comes back with its findings."""
    state, by = get_run_state(request), _read_rater(fields)
    candidate, source = get_candidate(state, request.path_params["id"]), fields.get("source", "")
    try:
        with get_context(request).write_lock:
            feedback.submit_program(state.run, candidate.id, source, by=by)
    except ProgramError as error:
        return render_editor(request, candidate, source, error.findings, str(error))
    return redirect_back(build_address(state.ref.slug), "program", by)


def show_editor(request: Request) -> Response:
    """Show the editor with a candidate's program."""
    candidate = get_candidate(get_run_state(request), request.path_params["id"])
    findings = candidate.verdict.findings if candidate.verdict else ()
    return render_editor(request, candidate, candidate.proposal.source, findings, None)


def render_editor(
    request: Request, candidate: Candidate, source: str, findings: tuple[records.Finding, ...], problem: str | None
) -> Response:
    """Render the editor: a program with the critic's findings."""
    return render_page(
        request,
        "edit.html",
        422 if problem else 200,
        state=get_run_state(request),
        candidate=candidate,
        source=source,
        findings=findings,
        problem=problem,
        rows=code_listing.list_code_lines(source, findings),
    )


@handle_form
def check_program(request: Request, fields: Form) -> Response:
    """Return the critic's findings about a program as JSON; nothing is written."""
    state = get_run_state(request)
    get_candidate(state, request.path_params["id"])
    try:
        verdict = feedback.check_program(state.run, fields.get("source", ""))
        accepted, findings = verdict.accepted, verdict.findings
    except ProgramError as error:
        accepted, findings = False, error.findings
    return JSONResponse({"accepted": accepted, "findings": [records.dump(finding) for finding in findings]})


@handle_form
def undo_feedback(request: Request, fields: Form) -> Response:
    """Undo an earlier input."""
    state, by = get_run_state(request), _read_rater(fields)
    number = pages.parse_number(fields.get("number", ""))
    with get_context(request).write_lock:
        feedback.withdraw_feedback(state.run, number if number is not None else 0, by=by)
    return redirect_back(build_address(state.ref.slug), "undone", by)


# ---------------------------------------------------------------- commands


@handle_form
def continue_search(request: Request, fields: Form) -> Response:
    """Resume a search that was interrupted, or start the next generation of a finished one."""
    state = get_run_state(request)
    if state.status == "running":
        raise UserError("a search is running in this run; wait for it, or stop it first")
    path = str(state.ref.path)
    command = ["resume", path] if state.status == "interrupted" else ["refine", path, "--yes"]
    get_context(request).subprocesses.start(pages.SEARCH_KEY + state.ref.slug, command)
    return redirect_back(build_address(state.ref.slug), "started")


@handle_form
def stop_search(request: Request, fields: Form) -> Response:
    """Stop the command that this studio started for a run."""
    state = get_run_state(request)
    get_context(request).subprocesses.stop(pages.SEARCH_KEY + state.ref.slug)
    return redirect_back(build_address(state.ref.slug), "stopping")


@handle_form
def render_videos(request: Request, fields: Form) -> Response:
    """Render an episode of one or two candidates."""
    state, subprocesses = get_run_state(request), get_context(request).subprocesses
    slug, episode = state.ref.slug, pages.parse_number(fields.get("episode", "")) or 0
    ids = [get_candidate(state, id).id for id in fields.get("owners", "").split()][:2]
    for id in ids:
        if episode >= len(pages.list_episodes(state, id)):
            raise UserError(f"{id} has no recorded episode {episode}")
        command = ["video", str(state.ref.path), "--candidate", id, "--episode", str(episode)]
        subprocesses.start(pages.make_video_key(state.ref, id, episode), command)

    # Back to the comparison, where the form was sent from there.
    compared = [get_candidate(state, id).id for id in fields.get("then", "").split()]
    if len(compared) == 2:
        a, b = compared
        return redirect_back(f"{build_address(slug, 'compare')}?a={a}&b={b}&episode={episode}", "rendering")
    return redirect_back(_build_page_address(state, ids[0] if ids else None), "rendering")


# ---------------------------------------------------------------- fields


def _build_page_address(state: RunState, id: str | None) -> str:
    """Return the address of a candidate's page, or of the run's without a candidate."""
    return build_address(state.ref.slug, "c", id) if id else build_address(state.ref.slug)


def _read_rater(fields: Form) -> str:
    return fields.get("by", "").strip()


def _read_changed_weights(terms: tuple[pages.TermControl, ...], fields: Form) -> dict[str, float]:
    """Return the weights that differ from the program's own.

    Raises:
        UserError: if one is not a number, or none differs.
    """
    changed = {}
    for term in terms:
        text = fields.get(f"w.{term.name}", "").strip()
        try:
            weight = float(text) if text else term.weight
        except ValueError as error:
            raise UserError(f"the weight of {term.name!r} is not a number: {text[:40]!r}") from error
        if not math.isfinite(weight):
            raise UserError(f"the weight of {term.name!r} is not finite")
        if weight != term.weight:
            changed[term.name] = weight
    if not changed:
        raise UserError("no weight was changed; move a slider first")
    return changed
