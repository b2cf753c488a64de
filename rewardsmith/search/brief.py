"""Briefs: the task, the candidates so far and people's feedback, as the author of a slot's program is told them."""

from __future__ import annotations

from collections.abc import Sequence

from rewardsmith.contract.records import Brief, Candidate, Probe, SlotAssignment
from rewardsmith.search.feedback import FeedbackState, prompt_notes
from rewardsmith.search.steps import evolution
from rewardsmith.search.storage import Run


def build_brief(
    run: Run, probe: Probe, generation: int, history: Sequence[Candidate], slot: SlotAssignment, state: FeedbackState
) -> Brief:
    """Build the brief for the author of one slot's program.

    Args:
        run: with the task and the settings.
        probe: the environment's catalogue.
        generation: that the slot belongs to.
        history: every candidate so far.
        slot: what evolution decided for it.
        state: the feedback of people that the generation hears.
    """
    task, config = run.task, run.config.search
    best = evolution.find_incumbent(history, run.config.evolution)

    # Candidates as prompts show them: where comparisons rank, the standing takes the place of the fitness.
    settings = state.effective_settings(run.config.feedback)
    shown = prompt_notes.replace_fitness_by_standing(history, settings)
    by_id = {candidate.id: candidate for candidate in shown}
    parents = [by_id[id] for id in slot.parents if id in by_id]
    visible = shown
    if slot.visible_candidates is not None:
        visible = [by_id[id] for id in slot.visible_candidates if id in by_id]

    return Brief(
        task=task.text,
        env_id=task.env.env_id,
        env_about=task.env_about,
        signals=probe.signals,
        card_signal_count=len(task.env.signals),
        action=task.action or probe.action_about,
        generation=generation,
        population=config.population,
        seed=config.seed,
        parents=tuple(parents),
        history=tuple(visible),
        notes=prompt_notes.build_notes(state, history, settings),
        mode=slot.mode,
        incumbent=best.id if best else None,
        pins=prompt_notes.list_pinned_terms(state),
        bans=prompt_notes.list_banned_terms(state),
        user_program=prompt_notes.build_user_proposal(state, slot.user_program_key),
    )
