"""The forms: what a person says, asks for or hands in. Each is one event of the run's journal, or one command."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import get_args
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rewardsmith.api import searches
from rewardsmith.contract import records
from rewardsmith.contract.errors import ProgramError, UserError
from rewardsmith.contract.records import Candidate
from rewardsmith.report.charts import code_listing
from rewardsmith.search import feedback
from rewardsmith.search.feedback import Answer
from rewardsmith.search.storage.run import default_path
from rewardsmith.studio import pages
from rewardsmith.studio.context import address, back, desk, known, named, page
from rewardsmith.studio.run_index import slug
from rewardsmith.studio.security import MAX_BODY

MAX_FIELDS = 200
Form = Mapping[str, str]
Action = Callable[[Request, Form], Response]


def form(action: Action) -> Callable[[Request], Awaitable[Response]]:
    """Make a form's handler: its fields are read here, and it runs in a thread of its own."""

    @wraps(action)
    async def handler(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise HTTPException(413, f"A form has at most {MAX_BODY:,} bytes.")
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise HTTPException(400, "This is no form that a page of the studio sends.") from error
        fields = {name: value.replace("\r\n", "\n") for name, value in pairs}
        return await run_in_threadpool(action, request, fields)

    return handler


@form
def say(request: Request, fields: Form) -> Response:
    """Take a remark in words."""
    about, by = known(request), _by(fields)
    id = named(about, fields["about"]).id if fields.get("about") else None
    with desk(request).writing:
        feedback.say(about.run, fields.get("text", ""), by=by, about=id)
    return back(address(about.place.slug, *(("c", id) if id else ())), "said", by)


@form
def prefer(request: Request, fields: Form) -> Response:
    """Take an answer to which of two is better."""
    about, by = known(request), _by(fields)
    answer = _answer(fields.get("answer", ""))
    with desk(request).writing:
        reason = fields.get("reason", "")
        feedback.prefer(about.run, fields.get("a", ""), fields.get("b", ""), answer, reason=reason, by=by)
    return back(address(about.place.slug, "compare"), "preferred", by)


@form
def wish(request: Request, fields: Form) -> Response:
    """Pin a term, ban it, or lift that."""
    about, by = known(request), _by(fields)
    (what, _, term), id = fields.get("pick", "").partition(" "), fields.get("candidate") or None
    if id:
        named(about, id)
    with desk(request).writing:
        if what == "pin":
            feedback.pin(about.run, term, candidate=id, by=by)
        elif what == "ban":
            feedback.ban(about.run, term, candidate=id, by=by)
        elif what == "release":
            feedback.release(about.run, term, by=by)
        else:
            raise UserError("a term can be pinned, banned or released")
    done = {"pin": "pinned", "ban": "banned", "release": "released"}[what]
    return back(address(about.place.slug, *(("c", id) if id else ())), done, by)


@form
def weigh(request: Request, fields: Form) -> Response:
    """Take other weights for a candidate's program."""
    about, by = known(request), _by(fields)
    one = named(about, request.path_params["id"])
    changed = _changed(pages.terms(about, one), fields)
    with desk(request).writing:
        feedback.weigh(about.run, one.id, changed, by=by)
    return back(address(about.place.slug, "c", one.id), "weighed", by)


@form
def edit(request: Request, fields: Form) -> Response:
    """Take a program that the person edited; one that the critic refuses comes back with its findings."""
    about, by = known(request), _by(fields)
    one, source = named(about, request.path_params["id"]), fields.get("source", "")
    try:
        with desk(request).writing:
            feedback.edit(about.run, one.id, source, by=by)
    except ProgramError as error:
        return editor(request, one, source, error.findings, str(error))
    return back(address(about.place.slug), "edited", by)


def edited(request: Request) -> Response:
    """Show the editor with a candidate's program."""
    one = named(known(request), request.path_params["id"])
    return editor(request, one, one.proposal.source, one.verdict.findings if one.verdict else (), None)


def editor(
    request: Request, one: Candidate, source: str, findings: tuple[records.Finding, ...], problem: str | None
) -> Response:
    """Show the editor: a program with what the critic finds in it."""
    return page(
        request,
        "edit.html",
        422 if problem else 200,
        about=known(request),
        one=one,
        source=source,
        findings=findings,
        problem=problem,
        rows=code_listing.rows(source, findings),
    )


@form
def check(request: Request, fields: Form) -> Response:
    """Answer what the critic says of a program, as JSON; nothing is written."""
    about = known(request)
    named(about, request.path_params["id"])
    try:
        verdict = feedback.check(about.run, fields.get("source", ""))
    except ProgramError as error:
        return JSONResponse({"accepted": False, "findings": [records.dump(one) for one in error.findings]})
    return JSONResponse({"accepted": verdict.accepted, "findings": [records.dump(one) for one in verdict.findings]})


@form
def go(request: Request, fields: Form) -> Response:
    """Begin the next generation, or go on with a search that was interrupted."""
    about, at = known(request), desk(request)
    if about.standing == "going":
        raise UserError("a search is going on in this run; wait for it, or stop it first")
    path, unfinished = str(about.place.path), about.standing == "interrupted"
    at.children.start(pages.GO + about.place.slug, ["resume", path] if unfinished else ["refine", path, "--yes"])
    return back(address(about.place.slug), "begun")


@form
def stop(request: Request, fields: Form) -> Response:
    """Stop the command that this studio started for a run."""
    about = known(request)
    desk(request).children.stop(pages.GO + about.place.slug)
    return back(address(about.place.slug), "stopping")


@form
def render(request: Request, fields: Form) -> Response:
    """Render an episode of one or two candidates."""
    about, at = known(request), desk(request)
    ids = [named(about, id).id for id in fields.get("owners", "").split()][:2]
    episode = fields.get("episode", "")
    number = int(episode) if episode.isascii() and episode.isdigit() and len(episode) < 6 else 0
    for id in ids:
        if number >= len(pages.takes(about, id)):
            raise UserError(f"{id} has no recorded episode {number}")
        command = ["video", str(about.place.path), "--candidate", id, "--episode", str(number)]
        at.children.start(pages.video_key(about.place, id, number), command)
    slug, both = about.place.slug, [named(about, id).id for id in fields.get("then", "").split()]
    if len(both) == 2:
        return back(f"{address(slug, 'compare')}?a={both[0]}&b={both[1]}&episode={number}", "rendering")
    return back(address(slug, *(("c", ids[0]) if ids else ())), "rendering")


@form
def begin(request: Request, fields: Form) -> Response:
    """Begin a search of a new task in the folder of runs."""
    at = desk(request)
    if at.shelf.single:
        raise HTTPException(404, "This studio shows one run; open one on a folder of runs to begin another.")
    sizes = {key: fields.get(key, "").strip() for key in ("population", "generations", "steps")}
    try:
        if not all(value.isascii() and value.isdigit() for value in sizes.values() if value):
            raise UserError("population, generations and steps are whole numbers")
        search = {key: int(value) for key, value in sizes.items() if value}
        settings = {("env_steps" if key == "steps" else key): value for key, value in search.items()}
        text, env = fields.get("text", "").strip(), fields.get("env", "").strip()
        planned = searches.plan(text, env, fields.get("fitness", "").strip() or None, overrides={"search": settings})
    except UserError as error:
        return page(request, "new.html", 422, problem=str(error), given=fields)
    path = default_path(at.shelf.path, planned.task, datetime.now())
    command = ["design", f"--env={env}", f"--out={path}", *(f"--{key}={value}" for key, value in search.items())]
    command += [f"--fitness={fields['fitness'].strip()}"] if fields.get("fitness", "").strip() else []
    at.children.start(pages.GO + slug(path.name), [*command, "--", text])
    return back("/", "begun")


def _by(fields: Form) -> str:
    return fields.get("by", "").strip()


def _answer(given: str) -> Answer:
    for known_answer in get_args(Answer):
        if given == known_answer:
            answer: Answer = known_answer
            return answer
    raise UserError(f"an answer is one of {', '.join(get_args(Answer))}")


def _changed(terms: tuple[pages.Term, ...], fields: Form) -> dict[str, float]:
    """Return the weights that differ from the program's own.

    Raises:
        UserError: if one is no number, or none differs.
    """
    changed = {}
    for term in terms:
        given = fields.get(f"w.{term.name}", "").strip()
        try:
            value = float(given) if given else term.weight
        except ValueError as error:
            raise UserError(f"the weight of {term.name!r} is no number: {given[:40]!r}") from error
        if not math.isfinite(value):
            raise UserError(f"the weight of {term.name!r} is not finite")
        if value != term.weight:
            changed[term.name] = value
    if not changed:
        raise UserError("no weight was changed; move a slider first")
    return changed
