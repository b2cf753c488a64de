"""The history in a prompt: a row for each earlier program with what changed, what came of it and why.

A row names the fitness, how the episodes went, the alarms, the change against the parent and the idea. The best program
so far always has a row. Programs that cannot be told apart from it are named under the table, with the noise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import Brief, Candidate, Proposal, Reflection, Status
from rewardsmith.llm import prompts

IDEA_CHARS = 240
CAUSE_CHARS = 400
ALARM_CHARS = 60
READING_CHARS = 160
MAX_CHANGES = 5
"""Changes against the parent that a row names."""

STATUS_WORDS: dict[Status, str] = {
    "ok": "trained",
    "invalid": "refused by the checks",
    "failed": "failed while training",
    "timeout": "took too long",
    "pruned": "stopped early",
}
"""Words for each status. "infrastructure" is left out: prompts do not mention faults of the machine."""


def list_visible_candidates(brief: Brief) -> list[Candidate]:
    """Return the candidates that a prompt may mention: not those that failed through a fault of the machine."""
    return [candidate for candidate in brief.history if candidate.status in STATUS_WORDS]


def render_history(brief: Brief, generations: int) -> str | None:
    """Render a row for each candidate of the last generations, each parent and the best so far, oldest first.

    Args:
        brief: with the candidates so far.
        generations: how many of them; None is returned for 0.
    """
    if not generations:
        return None
    kept_ids = {*(parent.id for parent in brief.parents), brief.incumbent}
    by_id = {candidate.id: candidate for candidate in brief.history}
    shown = [
        candidate
        for candidate in list_visible_candidates(brief)
        if candidate.generation >= brief.generation - generations or candidate.id in kept_ids
    ]
    # The signals are named once, above their values at the end of the episodes.
    spreads = _measure_spreads(shown)
    names = f"; at the end {', '.join(map(prompts.to_one_line, spreads))}" if spreads else ""
    header = f"id | from | fitness | ended early{names} | changed against its parent | idea | alarms"
    return "\n".join([header, *(_render_row(brief, candidate, by_id, spreads) for candidate in shown)])


def describe_noise(brief: Brief) -> str | None:
    """Say which differences in fitness mean something, and which programs are as good as the best.

    Args:
        brief: with the noise and the ties, as far as they are known.
    """
    if brief.noise is None or brief.noise <= 0.0:
        return None
    parts = [f"A difference in fitness below {prompts.format_rounded(brief.noise)} is within the noise of training."]
    visible = {candidate.id for candidate in list_visible_candidates(brief)}
    ties = [id for id in brief.ties if id in visible]
    if ties and brief.incumbent:
        named = f"{', '.join(ties)}; any of them may hold the better idea."
        parts.append(f"Not to be told apart from {brief.incumbent}, the best so far: {named}")
    return " ".join(parts)


def render_failure(candidate: Candidate) -> str:
    """Render the cause why a program gave no policy, in one line."""
    cause = prompts.to_one_line(prompts.strip_run_details(candidate.cause or "no cause is known"), CAUSE_CHARS)
    parents = f" (from {', '.join(candidate.proposal.parents)})" if candidate.proposal.parents else ""
    return f"{candidate.id}{parents} {STATUS_WORDS[candidate.status]}: {cause}"


def summarize_idea(proposal: Proposal) -> str:
    """Return the idea that the author named, or the first sentence of its words."""
    if proposal.idea:
        return prompts.to_one_line(proposal.idea, IDEA_CHARS)
    line = prompts.to_one_line(proposal.rationale, 4 * IDEA_CHARS)
    sentence, stop, _ = line.partition(". ")
    return prompts.to_one_line(sentence + stop.strip(), IDEA_CHARS) or "-"


def describe_change(parent: Candidate, child: Candidate) -> str:
    """Return what a child changed in the terms and weights of its parent; "" where that cannot be read.

    Args:
        parent: the program that it builds on.
        child: the program.
    """
    try:
        before, after = _read_weights(parent), _read_weights(child)
    except ProgramError:
        return ""
    if not before or not after:
        return ""
    changes = [f"+{name}" for name in after if name not in before]
    changes += [f"-{name}" for name in before if name not in after]
    changes += [
        f"{name} {prompts.format_rounded(before[name])} to {prompts.format_rounded(after[name])}"
        for name in after
        if name in before and before[name] != after[name]
    ]
    changes = [prompts.to_one_line(change, 60) for change in changes]
    more = len(changes) - MAX_CHANGES
    listed = ", ".join(changes[:MAX_CHANGES]) + (f" and {more} more" if more > 0 else "")
    return listed or "the same terms and weights, computed otherwise"


def _render_row(
    brief: Brief, candidate: Candidate, by_id: Mapping[str, Candidate], spreads: Mapping[str, float]
) -> str:
    parents = candidate.proposal.parents
    parent = by_id.get(parents[0]) if parents else None
    is_trained = candidate.status == "ok"
    reflection = candidate.reflection
    shown_in_full = {shown.id for shown in brief.parents}
    cells = (
        candidate.id,
        ", ".join(parents) or "-",
        prompts.format_value(candidate.fitness) if is_trained else STATUS_WORDS[candidate.status],
        (_render_outcome(reflection, spreads) if reflection else "") or "-",
        (describe_change(parent, candidate) if parent else "") or "-",
        summarize_idea(candidate.proposal),
        _render_alarms(candidate, with_reading=candidate.id not in shown_in_full) or "-",
    )
    return " | ".join(cells)


def _measure_spreads(candidates: Sequence[Candidate]) -> dict[str, float]:
    """Return the signals of the first outcome, each with its range at the end over all candidates."""
    ends = [candidate.reflection.ends for candidate in candidates if candidate.reflection]
    spreads = {}
    for name in next((list(end) for end in ends if end), []):
        values = [end[name] for end in ends if name in end]
        spreads[name] = max(values) - min(values)
    return spreads


def _render_outcome(reflection: Reflection, spreads: Mapping[str, float]) -> str:
    """Return how the episodes ended, then the values of signals at their ends."""
    ends = reflection.ends
    values = [prompts.format_scaled(ends[name], spread) if name in ends else "-" for name, spread in spreads.items()]
    return f"{reflection.outcome}; {', '.join(values)}" if ends and reflection.outcome else reflection.outcome


def _render_alarms(candidate: Candidate, *, with_reading: bool) -> str:
    """Return the alarms in short, and the first cause that a reader of the episodes found."""
    if candidate.reflection is None:
        return ""
    alarms = [prompts.to_one_line(alarm, ALARM_CHARS) for alarm in candidate.reflection.alarms[:1]]
    others = len(candidate.reflection.alarms) - 1
    if others > 0:
        alarms.append(f"{others} more")
    reading = candidate.reflection.reading
    if with_reading and reading and reading.causes:
        alarms.append(f"a reader: {prompts.to_one_line(reading.causes[0], READING_CHARS)}")
    return "; ".join(alarms)


def _read_weights(candidate: Candidate) -> dict[str, float]:
    """Return each term's weight: the terms that training saw, and those that the text gives a weight.

    Raises:
        ProgramError: if the text is no program.
    """
    program = candidate.program
    seen: Collection[str] = [
        name for training in candidate.trainings for point in training.curve[-1:] for name in point.terms
    ]
    return {name: program.weight(name) for name in dict.fromkeys([*program.weights, *seen])}
