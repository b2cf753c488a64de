"""Briefs: what the author of a slot's program is told of the task, of the candidates so far and of people's words."""

from __future__ import annotations

from rewardsmith.contract.records import Assignment, Brief, Candidate, Probe
from rewardsmith.search.feedback import State, prompt_notes
from rewardsmith.search.steps import evolution
from rewardsmith.search.storage import Run


def brief_of(
    run: Run, probe: Probe, generation: int, history: list[Candidate], slot: Assignment, heard: State
) -> Brief:
    """Put together what the author of one slot's program is told.

    Args:
        run: with the task and the settings.
        probe: what the environment offers.
        generation: that the slot belongs to.
        history: every candidate so far.
        slot: what evolution decided for it.
        heard: what people said before the generation.
    """
    best = evolution.incumbent(history, run.config.evolution)
    task, config, settings = run.task, run.config.search, heard.settings(run.config.feedback)
    notes = prompt_notes.notes(heard, history, settings)
    history = prompt_notes.as_told(history, settings)
    known = {candidate.id: candidate for candidate in history}
    return Brief(
        task=task.text,
        env_id=task.env.env_id,
        env_about=task.env_about,
        signals=probe.signals,
        named=len(task.env.signals),
        action=task.action or probe.action_about,
        generation=generation,
        population=config.population,
        seed=config.seed,
        parents=tuple(known[id] for id in slot.parents if id in known),
        history=tuple(history if slot.told is None else (known[id] for id in slot.told if id in known)),
        notes=notes,
        mode=slot.mode,
        incumbent=best.id if best else None,
        pins=prompt_notes.pins(heard),
        bans=prompt_notes.bans(heard),
        given=prompt_notes.program(heard, slot.given),
    )
