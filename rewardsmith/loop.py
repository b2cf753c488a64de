"""The loop: designer, critic, trainer, evaluator, analyzer, evolution, until the generations or the budget end.

Every step goes through the journal, which answers for a step that is already done: a resumed search runs this
same code from its beginning. What happens inside a step is told in `rewardsmith/steps/`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rewardsmith import ends, feedback, final
from rewardsmith.archive import Journal, Run
from rewardsmith.errors import BudgetExhausted, ModelRefused, TaskError
from rewardsmith.feedback import State, judge, telling
from rewardsmith.figures import Figures
from rewardsmith.fitness import Fitness
from rewardsmith.jobs import Executor
from rewardsmith.llm import Models
from rewardsmith.program import refusal
from rewardsmith.race import Lane, Race
from rewardsmith.records import (
    Assignment,
    Brief,
    Candidate,
    Feedback,
    Generation,
    Probe,
    ProbeJob,
    Proposal,
    Result,
    Spent,
    Verdict,
)
from rewardsmith.steps import analyzer, critic, evaluator, evolution, trainer
from rewardsmith.steps.designer import Designer
from rewardsmith.steps.designer.heeding import heeded
from rewardsmith.stills import Stills
from rewardsmith.tasks import unnamed
from rewardsmith.threads import together
from rewardsmith.trials import Trials, is_final
from rewardsmith.watch import Watch


class Search:
    """One search over reward programs for one task."""

    def __init__(
        self,
        run: Run,
        journal: Journal,
        designer: Designer,
        executor: Executor,
        watch: Watch,
        models: Models | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            run: the directory, which holds the task and the configuration.
            journal: of the run, open for writing.
            designer: proposes and repairs programs.
            executor: runs probes, trainings and evaluations.
            watch: is told what happens.
            models: of the roles that ask one; None where none does.
        """
        self.run, self.journal, self.executor, self.watch = run, journal, executor, watch
        self.designer = evolution.Reweighing(designer, run.config.evolution)
        self.models = models
        self.began = time.monotonic()

    def result(self) -> Result:
        """Run the search to its end.

        Raises:
            ProgramError: if the user's own program is refused, before anything is trained or paid for.
            NoValidCandidate: if no program of any generation could be scored.
            ModelError: if the language model cannot be had; what is done stays done.
            WorkerFailed: if the machinery fails beyond its retries.
            RunError: if the run directory cannot be written.
        """
        config = self.run.config.search
        probe = look(self.run, self.journal, self.executor)
        for remark in filter(None, (unnamed(probe.signals), trainer.remark(self.run.config, probe))):
            self.watch.notice(remark)
        self.check_user_program(probe)
        trials = Trials(self.run, self.journal, self.executor, self.watch, probe)
        self.critic = critic.Critic(self.run, probe, self.models)
        stills = Stills(self.executor, self.watch.notice)
        self.analyzer = analyzer.Analyzer(self.run, probe, self.models, stills)
        panel = feedback.Panel(self.run, self.journal, judge.of(self.run, self.journal, self.models, stills))
        added = (panel.generations - config.generations) * config.population * config.seeds
        self.watch.started(config.trainings + added, config.env_steps)
        history: list[Candidate] = []
        plans: list[Generation] = []
        stopped = None
        for generation in range(panel.generations):
            history = panel.rank(history, generation)
            waits = panel.waits(history, generation)
            if waits:
                return final.pause(trials, history, self.spent, waits)
            wall_s, asked = time.monotonic() - self.began, panel.asked(generation)
            stopped = ends.due(self.run.config, history, wall_s, target=not asked)
            if stopped:
                break
            heard = panel.hear(generation)
            plans.append(self.plan(probe, history, plans, heard))
            briefs = [self.brief(probe, generation, history, slot, heard) for slot in plans[-1].slots]
            parents = {parent.id: parent for brief in briefs for parent in brief.parents}
            self.watch.generation(replace(briefs[0], parents=tuple(parents.values())))
            outcomes = self.generation(trials, briefs)
            history += [outcome for outcome in outcomes if isinstance(outcome, Candidate)]
            stopped = ends.of_budget(outcomes)
            if stopped:
                break
        history = panel.rank(history, len(plans))
        waits = None if stopped else panel.waits(history, len(plans))
        if waits:
            return final.pause(trials, history, self.spent, waits)
        best = evolution.incumbent(history, self.run.config.evolution)
        if best is None:
            raise ends.without_result(history, stopped, self.run)
        result = final.report(trials, best, history, self.spent, stopped)
        self.watch.finished(result)
        return result

    @property
    def spent(self) -> Spent:
        """What the language models have cost so far."""
        return self.models.spent if self.models else Spent()

    def check_user_program(self, probe: Probe) -> None:
        """Critic: check the program that the user gave, whose failure ends the search before it begins."""
        source = self.run.user_program()
        if source is not None:
            verdict = critic.review(source, probe, self.run.transitions, self.run.config.sandbox)
            if not verdict.trainable:
                raise refusal(verdict.findings)

    def plan(self, probe: Probe, history: list[Candidate], plans: list[Generation], heard: State) -> Generation:
        """Evolution: decide what each slot of the next generation is made from; the user's programs have their own."""
        generation = len(plans)
        names, unlike = [signal.name for signal in probe.signals], self.critic.gates.distance

        def decide() -> Generation:
            return telling.with_programs(evolution.plan(self.run.config, history, plans, names, unlike), heard)

        plan = self.journal.once(f"g{generation}/evolution/plan", Generation, decide)
        if generation == 0 and self.run.config.search.user_alone and self.run.user_program() is not None:
            plan = replace(plan, slots=plan.slots[:1])
        for note in plan.notes:
            self.watch.notice(f"g{generation}: {note}")
        return plan

    def brief(self, probe: Probe, generation: int, history: list[Candidate], slot: Assignment, heard: State) -> Brief:
        """Put together what the author of one slot's program is told."""
        best = evolution.incumbent(history, self.run.config.evolution)
        task, config, settings = self.run.task, self.run.config.search, heard.settings(self.run.config.feedback)
        notes = telling.notes(heard, history, settings)
        history = telling.as_told(history, settings)
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
            pins=telling.pins(heard),
            bans=telling.bans(heard),
            given=telling.program(heard, slot.given),
        )

    def generation(self, trials: Trials, briefs: list[Brief]) -> list[Candidate | BaseException]:
        """Take every slot of a generation through the steps, at once."""
        name, slots = f"g{briefs[0].generation}", range(len(briefs))
        ids = [f"{name}c{slot:02d}" for slot in slots]
        race = Race(self.journal, name, ids, trainer.search_seeds(self.run.config), self.run.config.search.keep)
        return together(lambda slot: self.candidate(trials, briefs[slot], slot, race.lane(ids[slot])), slots)

    def candidate(self, trials: Trials, brief: Brief, slot: int, lane: Lane) -> Candidate:
        """Take one slot of a generation through the steps."""
        try:
            candidate = self.design(lane.candidate, brief, slot)
            if candidate.status == "ok":
                candidate = self.score(candidate, trials, lane)
        finally:
            self.critic.gates.tell(brief.generation, slot, None)
            lane.leave()
        return self.explain(candidate, trials)

    def design(self, id: str, brief: Brief, slot: int) -> Candidate:
        """Designer and critic: a refused program goes back to its author, a few times."""
        candidate = Candidate(id, brief.generation, slot, Proposal("", "none"), "invalid")
        tried: list[Candidate] = []
        make = partial(self.propose, brief, slot)
        for attempt in range(1 if brief.given else self.run.config.search.max_repairs + 1):
            self.watch.stage(id, "repair" if attempt else "design")
            try:
                proposal = self.journal.once(f"{id}/designer/{attempt}", Proposal, make)
            except ModelRefused as error:
                return replace(self.critic.settled(tried) if tried else candidate, cause=str(error))
            self.critic.gates.tell(brief.generation, slot, proposal.source)
            self.watch.stage(id, "check")
            judge = partial(self.critic.judge, brief, slot, proposal, tuple(tried))
            verdict = self.journal.once(f"{id}/critic/{attempt}", Verdict, judge)
            tried.append(replace(candidate, proposal=proposal, verdict=verdict, repairs=attempt))
            if verdict.accepted:
                break
            make = partial(self.mend, brief, tuple(tried))
        return self.critic.settled(tried)

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Designer: write a slot's program; the user's own is tried as it is."""
        proposal = brief.given or self.designer.propose(brief, slot)
        return heeded(brief, proposal) if brief.mode == "weights" else proposal

    def mend(self, brief: Brief, tried: Sequence[Candidate]) -> Proposal:
        """Designer: mend the last program, or stand by one that can be trained where no model answers any more."""
        last, sound = tried[-1], critic.sound(tried)
        findings = last.verdict.findings if last.verdict else ()
        try:
            return self.designer.repair(brief, last.proposal, findings, len(tried))
        except (ModelRefused, BudgetExhausted):
            if sound is None:
                raise
            return sound.proposal

    def score(self, candidate: Candidate, trials: Trials, lane: Lane) -> Candidate:
        """Trainer and evaluator: train the program on every seed of the search, and run the policies."""
        config = self.run.config
        episodes = evaluator.seeds(config, evaluator.SELECTION, config.evaluation.episodes)
        seeds = trainer.search_seeds(config)
        outcomes = trials.of(candidate.id, candidate.proposal.source, seeds, episodes, lane)
        failed = next((trial for trial in outcomes if trial.status != "ok"), None)
        values = [trial.fitness for trial in outcomes if trial.fitness is not None]
        return replace(
            candidate,
            trainings=tuple(trial.training for trial in outcomes),
            evaluations=tuple(trial.evaluation for trial in outcomes if trial.evaluation),
            status=failed.status if failed else "ok",
            cause=failed.cause if failed else None,
            fitness=None if failed else sum(values) / len(values),
        )

    def explain(self, candidate: Candidate, trials: Trials) -> Candidate:
        """Analyzer: say what helped and what failed, for the next prompt and for the user."""
        folders = [trials.home(candidate.id) / f"eval-s{training.seed}" for training in candidate.trainings]
        keep = candidate.status != "infrastructure"
        analyze = partial(self.analyzer.analyze, candidate, folders)
        feedback = self.journal.once(f"{candidate.id}/analyzer", Feedback, analyze, keep=lambda _: keep)
        candidate = replace(candidate, feedback=feedback)
        self.critic.gates.learn(candidate)
        self.run.save(candidate)
        self.watch.judged(candidate)
        return candidate


def look(run: Run, journal: Journal, executor: Executor) -> Probe:
    """Look at the environment: its catalogue, and transitions for the critic's dry run.

    Raises:
        TaskError: if the environment cannot be made.
        FitnessError: if the fitness or a figure names what it does not have.
    """
    job = ProbeJob(run.task.env, run.config.search.seed, run.config.evaluation.probe_transitions)

    def ran() -> Probe:
        result = executor.run(job, run.folder("probe"))
        assert isinstance(result, Probe)  # the executor answers a job with its own kind of result
        return result

    probe = journal.once("probe/loop", Probe, ran, keep=is_final)
    if probe.status != "ok":
        raise TaskError(f"the environment {run.task.env.env_id!r} cannot be run: {probe.cause}")
    known = [signal.name for signal in (*probe.signals, *probe.measures)]
    Fitness.parse(run.task.fitness).check(known)
    Figures.parse(run.task.expressions).check(known)
    return probe
