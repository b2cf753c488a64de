"""Page of the studio with two candidates side by side: their episodes, terms, and the form of an answer."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rewardsmith.contract.records import Candidate
from rewardsmith.report import video
from rewardsmith.report.video import RecordedEpisode, VideoClip
from rewardsmith.search.feedback import SuggestedPair
from rewardsmith.studio.context import StudioContext, get_context, get_flash_message, get_run_state, render_page
from rewardsmith.studio.pages import (
    TermControl,
    describe_comparison_effect,
    list_episodes,
    list_terms,
    list_videos,
    make_video_key,
    parse_number,
    suggest_pairs,
)
from rewardsmith.studio.run_state import RunState
from rewardsmith.studio.subprocesses import CommandState


@dataclass(frozen=True)
class ComparedSide:
    """One of two candidates side by side."""

    letter: str
    candidate: Candidate
    recorded: RecordedEpisode | None
    clip: VideoClip | None
    rendering: CommandState | None
    spark: str
    """SVG path of the fitness over the episode, 100 wide and 20 high."""
    terms: tuple[TermControl, ...]

    @property
    def subject(self) -> str:
        """Name that an answer is about: the episode if its video is shown, else the candidate."""
        if self.clip is None or self.recorded is None or self.recorded.training is None:
            return self.candidate.id
        return f"{self.candidate.id}/s{self.recorded.training}/{self.recorded.index}"


@dataclass(frozen=True)
class MissingVideos:
    """Videos to render before somebody asks for them."""

    owners: tuple[str, ...]
    """Ids of the candidates."""
    episode: int


def show_comparison(request: Request) -> Response:
    """Show two candidates side by side."""
    context, state = get_context(request), get_run_state(request)
    evaluated = [one for one in state.candidates if any(evaluation.episodes for evaluation in one.evaluations)]
    if len(evaluated) < 2:
        raise HTTPException(404, "There are no two candidates with recorded episodes yet.")

    # The two that the address names, else the most informative pair.
    pairs = suggest_pairs(state)
    ids = [request.query_params.get(name) for name in ("a", "b")]
    if ids == [None, None] and pairs:
        ids = [pairs[0].a, pairs[0].b]
    a, b = _choose_two(evaluated, ids)

    episode = parse_number(request.query_params.get("episode", ""))
    if episode is None:
        episode = _choose_common_episode(state, a, b)
    sides = [_build_side(context, state, letter, one, episode) for letter, one in (("A", a), ("B", b))]
    ahead = next((pair for pair in pairs if {pair.a, pair.b} != {a.id, b.id}), None)
    is_rendered = all(side.clip for side in sides) and request.query_params.get("ok") == "rendering"
    return render_page(
        request,
        "compare.html",
        state=state,
        sides=sides,
        evaluated=evaluated,
        episode=episode,
        episodes=range(min(len(list_episodes(state, side.candidate.id)) for side in sides)),
        pairs=pairs,
        ahead=_list_missing_videos(state, ahead) if ahead else None,
        effect=describe_comparison_effect(state),
        flash=None if is_rendered else get_flash_message(request),
    )


def _choose_two(evaluated: list[Candidate], ids: list[str | None]) -> tuple[Candidate, Candidate]:
    """Return the two candidates with these ids; the best ones replace missing or equal ids."""
    by_fitness = sorted(evaluated, key=lambda one: -(one.fitness if one.fitness is not None else float("-inf")))
    first, second = (next((one for one in evaluated if one.id == id), None) for id in ids)
    others = [candidate for candidate in by_fitness if candidate not in (first, second)]
    a = first or others.pop(0)
    b = second if second and second is not a else next(one for one in others if one is not a)
    return a, b


def _choose_common_episode(state: RunState, a: Candidate, b: Candidate) -> int:
    """Return the episode to compare: one with a video of both, else one with a median fitness."""
    videos_of_a = {clip.episode for clip in list_videos(state, a.id)}
    videos_of_b = {clip.episode for clip in list_videos(state, b.id)}
    common = videos_of_a & videos_of_b
    if common:
        return min(common)
    return min(video.median_episode(list_episodes(state, a.id)), len(list_episodes(state, b.id)) - 1)


def _list_missing_videos(state: RunState, pair: SuggestedPair) -> MissingVideos | None:
    """Return the videos that a comparison of a pair would show and that are not rendered yet."""
    a, b = state.find_candidate(pair.a), state.find_candidate(pair.b)
    if a is None or b is None or not (list_episodes(state, a.id) and list_episodes(state, b.id)):
        return None
    episode = _choose_common_episode(state, a, b)
    owners = [one.id for one in (a, b) if all(clip.episode != episode for clip in list_videos(state, one.id))]
    return MissingVideos(tuple(owners), episode) if owners else None


def _build_side(
    context: StudioContext, state: RunState, letter: str, candidate: Candidate, episode: int
) -> ComparedSide:
    episodes = list_episodes(state, candidate.id)
    clip = next((clip for clip in list_videos(state, candidate.id) if clip.episode == episode), None)
    return ComparedSide(
        letter=letter,
        candidate=candidate,
        recorded=episodes[episode] if episode < len(episodes) else None,
        clip=clip,
        rendering=context.subprocesses.get_state(make_video_key(state.ref, candidate.id, episode)),
        spark=_spark_path(clip),
        terms=list_terms(state, candidate),
    )


def _spark_path(clip: VideoClip | None) -> str:
    """Return the fitness over the frames of a video as an SVG path, 100 wide and 20 high."""
    values = clip.video.fitness_so_far if clip else ()
    points = [(index, value) for index, value in enumerate(values) if value is not None]
    if len(points) < 2:
        return ""
    low, high = min(value for _, value in points), max(value for _, value in points)
    last_index, span = max(len(values) - 1, 1), (high - low) or 1.0
    coordinates = [f"{100 * index / last_index:.1f} {19 - 18 * (value - low) / span:.1f}" for index, value in points]
    return "M" + "L".join(coordinates)
