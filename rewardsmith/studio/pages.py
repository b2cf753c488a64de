"""The pages: what a person reads of the runs, of one run, of a candidate, of two candidates side by side."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from rewardsmith.contract.errors import RewardsmithError
from rewardsmith.contract.records import Candidate, TermStats
from rewardsmith.contract.reward_program import parse
from rewardsmith.report import video
from rewardsmith.report.charts import code_listing, line_chart
from rewardsmith.report.charts.lineage import lineage
from rewardsmith.report.video import Clip, Take
from rewardsmith.search import feedback
from rewardsmith.search.feedback import Pair, Standings
from rewardsmith.search.steps import evaluator
from rewardsmith.studio import run_state
from rewardsmith.studio.context import Desk, address, desk, flash, known, named, page, place, templates
from rewardsmith.studio.run_index import Place, contained
from rewardsmith.studio.run_state import Facts
from rewardsmith.studio.subprocesses import Child

MEDIA = {".mp4": "video/mp4", ".webp": "image/webp"}
GO = "go "
"""Keys of the commands: "go <slug>" for a search, "video <slug> <candidate> <episode>" for a rendering."""


@dataclass(frozen=True)
class Term:
    """A term of a program, for its slider."""

    name: str
    weight: float
    stats: TermStats | None
    pinned: bool
    banned: bool

    @property
    def reach(self) -> float:
        """How far the slider goes, either way."""
        return 4.0 * abs(self.weight) or 1.0


@dataclass(frozen=True)
class Side:
    """One of two candidates side by side."""

    letter: str
    candidate: Candidate
    take: Take | None
    clip: Clip | None
    rendering: Child | None
    spark: str
    """An SVG path of the fitness so far, 100 wide and 20 high."""
    terms: tuple[Term, ...]

    @property
    def shown(self) -> str:
        """What an answer is about: the episode where there is a video of it, else the candidate."""
        if self.clip is None or self.take is None or self.take.training is None:
            return self.candidate.id
        return f"{self.candidate.id}/s{self.take.training}/{self.take.index}"


def runs(request: Request) -> Response:
    """Show the runs; the only one at once."""
    shelf, children = desk(request).shelf, desk(request).children
    places = shelf.places()
    if shelf.single and places:
        return RedirectResponse(address(places[0].slug), 303)
    listed = {GO + one.slug for one in places}
    begun = [state for key, state in children.states(GO).items() if key not in listed]
    return page(request, "runs.html", rows=[run_state.row(one) for one in places], folder=str(shelf.path), begun=begun)


def run(request: Request) -> Response:
    """Show one run."""
    about = known(request)
    return page(request, "run.html", 200, **live(desk(request), about), **opinions(about))


def moving(request: Request) -> Response:
    """Answer what moves of a run's page; 304 where nothing has."""
    here, at = place(request), desk(request)
    tag = f'"{run_state.version(here, [repr(at.children.state(GO + here.slug))])}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    body = templates().get_template("_live.html").render(live(at, run_state.facts(here)))
    return HTMLResponse(body, headers={"ETag": tag, "Cache-Control": "no-cache"})


def candidate(request: Request) -> Response:
    """Show one candidate."""
    about = known(request)
    one = named(about, request.path_params["id"])
    place_in = [other.id for other in about.candidates].index(one.id)
    parents = [parent for id in one.proposal.parents if (parent := about.candidate(id))]
    wanted = request.query_params.get("to", "")
    parent = next((other for other in parents if other.id == wanted), parents[0] if parents else None)
    findings, recorded = one.verdict.findings if one.verdict else (), takes(about, one.id)
    return page(
        request,
        "candidate.html",
        about=about,
        one=one,
        previous=about.candidates[place_in - 1].id if place_in else None,
        following=about.candidates[place_in + 1].id if place_in + 1 < len(about.candidates) else None,
        parents=parents,
        parent=parent,
        children=[other for other in about.candidates if one.id in other.proposal.parents],
        changes=code_listing.changes(parent.proposal.source, one.proposal.source) if parent else (),
        rows=code_listing.rows(one.proposal.source, findings),
        elsewhere=code_listing.elsewhere(one.proposal.source, findings),
        terms=terms(about, one),
        beside=evaluator.further(about.run.task, chosen=one.evaluations),
        chart=line_chart.chart(_lines([one], one.id)),
        takes=recorded,
        typical=video.typical(recorded) if recorded else None,
        clips=clips(about, one.id),
        rendering=_rendering(desk(request), about, one.id, len(recorded)),
        remarks=[said for said in about.state.remarks if said.about == one.id],
    )


def compare(request: Request) -> Response:
    """Show two candidates side by side."""
    about = known(request)
    scored = [one for one in about.candidates if any(known.episodes for known in one.evaluations)]
    if len(scored) < 2:
        raise HTTPException(404, "There are no two candidates with recorded episodes yet.")
    pairs = next_pairs(about)
    asked = [request.query_params.get(name) for name in ("a", "b")]
    if asked == [None, None] and pairs:
        asked = [pairs[0].a, pairs[0].b]
    a, b = _two(scored, asked)
    episode = request.query_params.get("episode", "")
    number = int(episode) if episode.isascii() and episode.isdigit() and len(episode) < 6 else _shared(about, a, b)
    sides = [_side(desk(request), about, letter, one, number) for letter, one in (("A", a), ("B", b))]
    done = all(side.clip for side in sides) and request.query_params.get("ok") == "rendering"
    return page(
        request,
        "compare.html",
        about=about,
        sides=sides,
        scored=scored,
        episode=number,
        episodes=range(min(len(takes(about, side.candidate.id)) for side in sides)),
        pairs=pairs,
        flash=None if done else flash(request),
    )


def film(request: Request) -> Response:
    """Serve a video of a candidate."""
    about = known(request)
    owner = named(about, request.path_params["id"]).id
    clip = next((one for one in clips(about, owner) if one.file.name == request.path_params["file"]), None)
    if clip is None or clip.file.suffix not in MEDIA:
        raise HTTPException(404, "There is no such video.")
    return FileResponse(
        clip.file, media_type=MEDIA[clip.file.suffix], headers={"Cache-Control": "private, max-age=3600"}
    )


def new(request: Request) -> Response:
    """Show the form that begins a search."""
    if desk(request).shelf.single:
        raise HTTPException(404, "This studio shows one run; open one on a folder of runs to begin another.")
    return page(request, "new.html", problem=None, given={})


def live(at: Desk, about: Facts) -> dict[str, object]:
    """Return what the moving part of a run's page is drawn from."""
    best = about.best
    levels = []
    if about.result is not None:
        own, random = about.result.baselines.own_reward, about.result.baselines.random
        levels += [line_chart.Level("own reward", own.mean)] if own else []
        levels += [line_chart.Level("random", random)] if random is not None else []
    now = [line_chart.Line(f"{one.owner}", line_chart.points(one.curve), -1, False, True) for one in about.active]
    return {
        "about": about,
        "best": best,
        "lineage": lineage(about.candidates, best.id if best else None),
        "chart": line_chart.chart([*_lines(about.candidates, best.id if best else None), *now], levels),
        "child": at.children.state(GO + about.place.slug),
        "tree": [(number, list(members)) for number, members in enumerate(about.generations)],
    }


def opinions(about: Facts) -> dict[str, object]:
    """Return what people said of a run, and whom an answer would tell most about."""
    standings: Standings | None = feedback.standings(about.run) if about.state.preferences else None
    return {"standings": standings, "pairs": next_pairs(about)}


def next_pairs(about: Facts) -> tuple[Pair, ...]:
    """Return the pairs of candidates about which an answer would tell most."""
    if len(about.candidates) < 2:
        return ()
    found = feedback.next_pairs(about.run)
    return tuple(pair for pair in found if about.candidate(pair.a) and about.candidate(pair.b))


def terms(about: Facts, one: Candidate) -> tuple[Term, ...]:
    """Return a program's terms with their weights; empty where it is no program."""
    stats = {term.name: term for term in one.verdict.dry_run.terms} if one.verdict and one.verdict.dry_run else {}
    try:
        weights = dict(parse(one.proposal.source).weights)
    except RewardsmithError:
        return ()
    weights |= {name: term.weight for name, term in stats.items() if name not in weights}
    pins, bans = ({wish.term for wish in wishes} for wishes in (about.state.pins, about.state.bans))
    return tuple(Term(name, weight, stats.get(name), name in pins, name in bans) for name, weight in weights.items())


def takes(about: Facts, id: str) -> tuple[Take, ...]:
    """Return a candidate's recorded episodes; empty where nothing was evaluated."""
    try:
        return video.episodes(about.run, id)
    except RewardsmithError:
        return ()


def clips(about: Facts, id: str) -> tuple[Clip, ...]:
    """Return a candidate's rendered videos, of those files that really lie in the run."""
    if not contained(about.place.path, about.place.path / "candidates" / id / "videos"):
        return ()
    return tuple(clip for clip in video.clips(about.run, id) if contained(about.place.path, clip.file))


def video_key(place: Place, id: str, episode: int) -> str:
    """Return the key of the command that renders an episode."""
    return f"video {place.slug} {id} {episode}"


def _rendering(at: Desk, about: Facts, id: str, episodes: int) -> list[tuple[int, Child]]:
    """Return the episodes of a candidate that are being rendered, or failed to be."""
    states = ((number, at.children.state(video_key(about.place, id, number))) for number in range(episodes))
    return [(number, state) for number, state in states if state and (state.running or state.failure)]


def _lines(candidates: list[Candidate] | tuple[Candidate, ...], best: str | None) -> list[line_chart.Line]:
    drawn = []
    for one in candidates:
        for training in one.trainings[:1]:
            drawn.append(line_chart.Line(one.id, line_chart.points(training.curve), one.generation % 6, one.id == best))
    return drawn


def _two(scored: list[Candidate], asked: list[str | None]) -> tuple[Candidate, Candidate]:
    """Return the two candidates that are asked for, the best ones in the place of those that are missing."""
    ranked = sorted(scored, key=lambda one: -(one.fitness if one.fitness is not None else float("-inf")))
    chosen = [next((one for one in scored if one.id == id), None) for id in asked]
    rest = [one for one in ranked if one not in chosen]
    a = chosen[0] or rest.pop(0)
    b = chosen[1] if chosen[1] and chosen[1] is not a else next(one for one in rest if one is not a)
    return a, b


def _shared(about: Facts, a: Candidate, b: Candidate) -> int:
    """Return the episode to compare: one that both have a video of, else a typical one."""
    both = {clip.episode for clip in clips(about, a.id)} & {clip.episode for clip in clips(about, b.id)}
    return min(both) if both else min(video.typical(takes(about, a.id)), len(takes(about, b.id)) - 1)


def _side(at: Desk, about: Facts, letter: str, one: Candidate, episode: int) -> Side:
    recorded = takes(about, one.id)
    clip = next((clip for clip in clips(about, one.id) if clip.episode == episode), None)
    state = at.children.state(video_key(about.place, one.id, episode))
    take = recorded[episode] if episode < len(recorded) else None
    return Side(letter, one, take, clip, state, _spark(clip), terms(about, one))


def _spark(clip: Clip | None) -> str:
    """Return the fitness so far, frame by frame, as a path 100 wide and 20 high."""
    values = clip.video.fitness_so_far if clip else ()
    found = [(index, value) for index, value in enumerate(values) if value is not None]
    if len(found) < 2:
        return ""
    low, high = min(value for _, value in found), max(value for _, value in found)
    last, span = max(len(values) - 1, 1), (high - low) or 1.0
    return "M" + "L".join(f"{100 * index / last:.1f} {19 - 18 * (value - low) / span:.1f}" for index, value in found)
