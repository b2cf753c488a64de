"""Pages of the studio: runs, a run, a candidate, and the values that several pages show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from rewardsmith.contract.errors import RewardsmithError
from rewardsmith.contract.records import Candidate, TermStats
from rewardsmith.report import video
from rewardsmith.report.charts import code_listing, line_chart
from rewardsmith.report.charts.archive_map import find_random_fitness, layout_archive
from rewardsmith.report.charts.lineage import layout_lineage
from rewardsmith.report.estimates import build_estimates
from rewardsmith.report.video import RecordedEpisode, VideoClip
from rewardsmith.search import feedback
from rewardsmith.search.feedback import PreferenceRanking, SuggestedPair
from rewardsmith.search.finalists import read_finalists
from rewardsmith.search.reported_metrics import report_metrics
from rewardsmith.studio import run_state
from rewardsmith.studio.context import (
    StudioContext,
    build_address,
    get_candidate,
    get_context,
    get_run_ref,
    get_run_state,
    load_templates,
    render_page,
)
from rewardsmith.studio.run_index import RunRef, is_contained
from rewardsmith.studio.run_state import RunState, RunSummary
from rewardsmith.studio.subprocesses import CommandState

MEDIA_TYPES = {".mp4": "video/mp4", ".webp": "image/webp"}
SEARCH_KEY = "search "
"""Keys of the commands: "search <slug>" for a search, "video <slug> <candidate> <episode>" for a rendering."""
RUN_ORDERS: dict[str, Callable[[RunSummary], tuple[object, ...]]] = {
    "task": lambda run: (run.task.lower(), run.env),
    "environment": lambda run: (run.env.lower(), run.task.lower()),
    "fitness": lambda run: (run.env.lower(), run.reported is None, -(run.reported.mean if run.reported else 0.0)),
}
"""Orders of the list of runs besides the newest first; a fitness is only compared on one environment."""
CHART_TONES = 6
"""Colours of the learning curves, by generation."""


@dataclass(frozen=True)
class TermControl:
    """A term of a program with its slider."""

    name: str
    weight: float
    stats: TermStats | None
    pinned: bool
    banned: bool

    @property
    def reach(self) -> float:
        """Largest weight on the slider, as an absolute value."""
        return 4.0 * abs(self.weight) or 1.0


# ---------------------------------------------------------------- handlers


def show_runs(request: Request) -> Response:
    """Show the list of runs; a studio of one run redirects to that run."""
    context = get_context(request)
    refs = context.index.list_runs()
    order = request.query_params.get("sort", "newest")
    if context.index.is_single_run and refs:
        return RedirectResponse(build_address(refs[0].slug), 303)

    # Searches that were started here and have no run directory yet.
    listed_keys = {SEARCH_KEY + ref.slug for ref in refs}
    commands = context.subprocesses.list_states(SEARCH_KEY)
    starting = [command for key, command in commands.items() if key not in listed_keys]
    summaries = [run_state.summarize_run(ref) for ref in refs]
    if order in RUN_ORDERS:
        summaries.sort(key=RUN_ORDERS[order])
    return render_page(
        request,
        "runs.html",
        runs=summaries,
        folder=str(context.index.path),
        starting=starting,
        order=order if order in RUN_ORDERS else "newest",
        orders=("newest", *RUN_ORDERS),
    )


def show_run(request: Request) -> Response:
    """Show one run."""
    context, state = get_context(request), get_run_state(request)
    return render_page(request, "run.html", 200, **build_live_view(context, state), **build_feedback_view(state))


def show_live_part(request: Request) -> Response:
    """Return the part of a run's page that changes while it runs; 304 if it has not changed."""
    ref, context = get_run_ref(request), get_context(request)
    command = context.subprocesses.get_state(SEARCH_KEY + ref.slug)
    tag = f'"{run_state.compute_version_tag(ref, [repr(command)])}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    view = build_live_view(context, run_state.load_run_state(ref))
    body = load_templates().get_template("_live.html").render(view)
    return HTMLResponse(body, headers={"ETag": tag, "Cache-Control": "no-cache"})


def show_candidate(request: Request) -> Response:
    """Show one candidate."""
    context, state = get_context(request), get_run_state(request)
    candidate = get_candidate(state, request.path_params["id"])
    source, findings = candidate.proposal.source, candidate.verdict.findings if candidate.verdict else ()

    # Neighbours in the list and relatives in the lineage; the difference is shown to one parent.
    ids = [other.id for other in state.candidates]
    position = ids.index(candidate.id)
    parents = [parent for id in candidate.proposal.parents if (parent := state.find_candidate(id))]
    chosen_parent = request.query_params.get("to", "")
    parent = next((other for other in parents if other.id == chosen_parent), parents[0] if parents else None)

    episodes = list_episodes(state, candidate.id)
    return render_page(
        request,
        "candidate.html",
        state=state,
        candidate=candidate,
        previous=ids[position - 1] if position else None,
        following=ids[position + 1] if position + 1 < len(ids) else None,
        parents=parents,
        parent=parent,
        children=[other for other in state.candidates if candidate.id in other.proposal.parents],
        changes=code_listing.diff_programs(parent.proposal.source, source) if parent else (),
        rows=code_listing.list_code_lines(source, findings),
        unplaced=code_listing.unplaced_findings(source, findings),
        terms=list_terms(state, candidate),
        metrics=report_metrics(state.run.task, chosen=candidate.evaluations),
        chart=line_chart.layout_chart(_build_lines([candidate], candidate.id)),
        episodes=episodes,
        median=video.median_episode(episodes) if episodes else None,
        clips=list_videos(state, candidate.id),
        renderings=_list_renderings(context, state, candidate.id, len(episodes)),
        remarks=[remark for remark in state.feedback_state.remarks if remark.about == candidate.id],
    )


def serve_video(request: Request) -> Response:
    """Serve a video of a candidate."""
    state = get_run_state(request)
    owner = get_candidate(state, request.path_params["id"]).id
    file_name = request.path_params["file"]
    clip = next((clip for clip in list_videos(state, owner) if clip.file.name == file_name), None)
    if clip is None or clip.file.suffix not in MEDIA_TYPES:
        raise HTTPException(404, "There is no such video.")
    media_type = MEDIA_TYPES[clip.file.suffix]
    return FileResponse(clip.file, media_type=media_type, headers={"Cache-Control": "private, max-age=3600"})


# ---------------------------------------------------------------- values of the pages


def build_live_view(context: StudioContext, state: RunState) -> dict[str, object]:
    """Return the values of the part of a run's page that changes while it runs."""
    best_id = state.best.id if state.best else None
    lines = _build_lines(state.candidates, best_id)
    for training in state.active_trainings:
        points = line_chart.finite_points(training.curve)
        lines.append(line_chart.ChartLine(training.owner, points, -1, best=False, live=True))

    levels = []
    if state.result is not None:
        baselines = state.result.baselines
        if baselines.environment_reward is not None:
            levels.append(line_chart.ReferenceLevel("environment reward", baselines.environment_reward.mean))
        if baselines.random is not None:
            levels.append(line_chart.ReferenceLevel("random", baselines.random))

    return {
        "state": state,
        "best": state.best,
        "estimates": build_estimates(state.candidates, read_finalists(state.run), best_id),
        "lineage": layout_lineage(state.candidates, best_id),
        "archive": layout_archive(state.run.task.behaviour, state.candidates, find_random_fitness(state.result)),
        "chart": line_chart.layout_chart(lines, levels),
        "command": context.subprocesses.get_state(SEARCH_KEY + state.ref.slug),
    }


def build_feedback_view(state: RunState) -> dict[str, object]:
    """Return the values of the feedback on a run's page: the ranking by comparisons and the next pairs."""
    ranking: PreferenceRanking | None = None
    if state.feedback_state.preferences:
        ranking = feedback.load_ranking(state.run)
    return {"ranking": ranking, "pairs": suggest_pairs(state), "effect": describe_comparison_effect(state)}


def describe_comparison_effect(state: RunState) -> str:
    """Return a sentence on the effect of comparisons in a run, the same as of `rewardsmith refine`."""
    if state.rank == "people":
        return "Comparisons rank the programs of this run."
    if state.rank == "judge":
        return "A model compares the programs of this run; your comparisons count together with its answers."
    if state.run.config.search.designer == "symbolic":
        return (
            "Comparisons have no effect in this run: the metric ranks the programs, and the symbolic designer does not "
            "read comparisons."
        )
    return "Comparisons go to the designer; the metric ranks the programs."


def suggest_pairs(state: RunState) -> tuple[SuggestedPair, ...]:
    """Return the pairs of candidates whose comparison is the most informative."""
    if len(state.candidates) < 2:
        return ()
    pairs = feedback.suggest_pairs(state.run)
    return tuple(pair for pair in pairs if state.find_candidate(pair.a) and state.find_candidate(pair.b))


def list_terms(state: RunState, candidate: Candidate) -> tuple[TermControl, ...]:
    """Return a program's terms with their weights; empty if it cannot be parsed."""
    stats = candidate.trial_terms
    try:
        weights = dict(candidate.program.weights)
    except RewardsmithError:
        return ()
    weights |= {name: term.weight for name, term in stats.items() if name not in weights}

    pinned = {pin.term for pin in state.feedback_state.pins}
    banned = {ban.term for ban in state.feedback_state.bans}
    return tuple(
        TermControl(name, weight, stats.get(name), name in pinned, name in banned) for name, weight in weights.items()
    )


def list_episodes(state: RunState, id: str) -> tuple[RecordedEpisode, ...]:
    """Return a candidate's recorded episodes; empty if it was not evaluated."""
    try:
        return video.list_episodes(state.run, id)
    except RewardsmithError:
        return ()


def list_videos(state: RunState, id: str) -> tuple[VideoClip, ...]:
    """Return a candidate's rendered videos whose files really lie in the run."""
    root = state.ref.path
    if not is_contained(root, state.run.layout.videos_dir(id)):
        return ()
    return tuple(clip for clip in video.list_clips(state.run, id) if is_contained(root, clip.file))


def make_video_key(ref: RunRef, id: str, episode: int) -> str:
    """Return the key of the command that renders an episode."""
    return f"video {ref.slug} {id} {episode}"


def parse_number(text: str) -> int | None:
    """Parse a number in a form or an address, of an episode for instance; return None if it is not a number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


# ---------------------------------------------------------------- parts


def _list_renderings(
    context: StudioContext, state: RunState, id: str, episode_count: int
) -> list[tuple[int, CommandState]]:
    """Return the episodes of a candidate whose rendering runs or has failed."""
    renderings = []
    for episode in range(episode_count):
        command = context.subprocesses.get_state(make_video_key(state.ref, id, episode))
        if command and (command.running or command.failure):
            renderings.append((episode, command))
    return renderings


def _build_lines(candidates: Sequence[Candidate], best_id: str | None) -> list[line_chart.ChartLine]:
    """Return the learning curve of each candidate's first training."""
    lines = []
    for candidate in candidates:
        for training in candidate.trainings[:1]:
            points, tone = line_chart.finite_points(training.curve), candidate.generation % CHART_TONES
            lines.append(line_chart.ChartLine(candidate.id, points, tone, candidate.id == best_id))
    return lines
