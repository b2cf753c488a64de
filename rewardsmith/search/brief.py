"""Briefs: the task, the candidates so far and people's feedback, for the author of one slot's program."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rewardsmith.contract.records import Brief, Candidate, Probe, SignalFacts, SlotAssignment, TrainSettings
from rewardsmith.search import shrinkage
from rewardsmith.search.feedback import FeedbackState, prompt_notes
from rewardsmith.search.steps import evolution
from rewardsmith.search.storage import Run
from rewardsmith.search.training_facts import describe_training
from rewardsmith.spec.class_docs import describe_class
from rewardsmith.spec.task_cards import Task

LEAST_PROGRAMS = 3
"""Programs with a fitness from which on the noise can be guessed."""


@dataclass(frozen=True)
class PromptFacts:
    """Facts of the search that prompts state beside the task and its candidates."""

    signals: Mapping[str, SignalFacts] = field(default_factory=dict)
    """Signal name to what the recording under random actions shows of it."""
    scale: str = ""
    """The kind and unit of the fitness, with reference points."""


def build_brief(
    run: Run,
    probe: Probe,
    generation: int,
    history: Sequence[Candidate],
    slot: SlotAssignment,
    state: FeedbackState,
    facts: PromptFacts | None = None,
) -> Brief:
    """Build the brief for the author of one slot's program.

    Args:
        run: with the task and the settings.
        probe: the environment's catalogue.
        generation: that the slot belongs to.
        history: every candidate so far.
        slot: what evolution decided for it.
        state: the feedback of people that the generation hears.
        facts: what prompts say of the search; None where nothing was measured.
    """
    task, config = run.task, run.config.search
    best = evolution.find_incumbent(history, run.config.evolution)

    # Candidates as prompts show them: where comparisons rank, the standing takes the place of the fitness.
    settings = state.effective_settings(run.config.feedback)
    ranks_by_metric = settings.rank == "metric"
    shown = prompt_notes.replace_fitness_by_standing(history, settings)
    parents = _pick_candidates(shown, slot.parents)
    visible = shown if slot.visible_candidates is None else _pick_candidates(shown, slot.visible_candidates)

    # What fitness means, and what people said.
    notes = prompt_notes.build_notes(state, history, settings)
    if run.config.judges_fitness and ranks_by_metric:
        notes = (*prompt_notes.explain_judged_fitness(task.fitness, history), *notes)

    facts = facts or PromptFacts()
    return Brief(
        task=task.text,
        env_id=task.env.env_id,
        env_about=_describe_environment(task, probe),
        signals=probe.signals,
        card_signal_count=len(task.env.signals) + len(task.env.learned_signals),
        action=task.action or probe.action_about,
        generation=generation,
        population=config.population,
        seed=config.seed,
        parents=tuple(parents),
        history=tuple(visible),
        notes=notes,
        mode=slot.mode,
        incumbent=best.id if best else None,
        pins=prompt_notes.list_pinned_terms(state),
        bans=prompt_notes.list_banned_terms(state),
        user_program=prompt_notes.build_user_proposal(state, slot.user_program_key),
        training=describe_training(run.config, task.stages[-1].text if task.stages else ""),
        scale=facts.scale,
        noise=estimate_noise(visible, config.seeds) if ranks_by_metric else None,
        ties=_find_ties(best, visible) if ranks_by_metric else (),
        unobserved=find_unobserved(run.config.training, probe),
        signal_facts=facts.signals,
        aim=slot.aim,
        descriptors=task.behaviour if slot.aim else (),
    )


def _pick_candidates(candidates: Sequence[Candidate], ids: Sequence[str]) -> list[Candidate]:
    """Return the candidates of these ids, in the order of the ids; an id that nothing has is left out."""
    by_id = {candidate.id: candidate for candidate in candidates}
    return [by_id[id] for id in ids if id in by_id]


def estimate_noise(candidates: Sequence[Candidate], seeds: int) -> float | None:
    """Return the difference in fitness that measurements can resolve; see `shrinkage.find_ties`.

    Args:
        candidates: of the search so far.
        seeds: trainings of each.

    Returns:
        None for fewer than three programs with a fitness.
    """
    fitness = shrinkage.collect_fitness(candidates)
    variances = shrinkage.estimate_variances(fitness)
    if variances is None or len(fitness) < LEAST_PROGRAMS:
        return None
    return shrinkage.measure_tie_width(variances, seeds)


def find_unobserved(training: TrainSettings, probe: Probe) -> Mapping[str, tuple[int, ...]] | None:
    """Return the components of signals that a policy does not see; None where that is not known.

    Args:
        training: names the signals that are observed in place of the environment's own vector.
        probe: what the environment's own observation does not tell.
    """
    if training.observation == "environment":
        return probe.unobserved
    hidden = [signal for signal in probe.signals if signal.name not in training.observation]
    return {signal.name: tuple(range(math.prod(signal.shape))) for signal in hidden}


def _find_ties(best: Candidate | None, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    if best is None:
        return ()
    return shrinkage.find_ties(best.id, shrinkage.estimate_candidates(candidates))


def _describe_environment(task: Task, probe: Probe) -> str:
    """Return the description of the environment: its card's, or that of its class if it has no card."""
    says = describe_class(probe.about) if task.name == task.env.env_id else ""
    return f"{task.env_about}\n\nIts class says:\n\n{says}" if says else task.env_about
