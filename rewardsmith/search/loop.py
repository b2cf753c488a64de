"""The loop: designer, critic, trainer, evaluator, analyzer, evolution, until the generations or the budget end.

Every step goes through the journal, which answers for a step that is already done: a resumed search runs this
same code from its beginning. What one candidate goes through is told in `course.py`, what happens inside a step in
`rewardsmith/search/steps/`.
"""

from __future__ import annotations

from dataclasses import replace

from rewardsmith.contract.records import Brief, Candidate, Generation, Probe, Result, Spent
from rewardsmith.contract.reward_program import refusal
from rewardsmith.executors.base import Executor
from rewardsmith.executors.frames import Stills
from rewardsmith.llm import Models
from rewardsmith.search import feedback, final_evaluation, stopping
from rewardsmith.search.brief import brief_of
from rewardsmith.search.callbacks import Watch
from rewardsmith.search.candidate import Course
from rewardsmith.search.concurrency import together
from rewardsmith.search.feedback import State, llm_judge, prompt_notes
from rewardsmith.search.probe import look
from rewardsmith.search.steps import analyzer, critic, evolution, trainer
from rewardsmith.search.steps.designer import Designer
from rewardsmith.search.storage import Clock, Journal, Run
from rewardsmith.search.successive_halving import Lane, Race
from rewardsmith.search.trial import Trials
from rewardsmith.spec.task_cards import unnamed
from rewardsmith.spec.task_warnings import doubts


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

    def result(self) -> Result:
        """Run the search to its end.

        Raises:
            ProgramError: if the user's own program is refused, before anything is trained or paid for.
            NoValidCandidate: if no program of any generation could be scored.
            ModelError: if the language model cannot be had; what is done stays done.
            WorkerFailed: if the machinery fails beyond its retries.
            RunError: if the run directory cannot be written.
        """
        with Clock(self.run.path / "clock.json") as clock:
            return self.searched(clock)

    def searched(self, clock: Clock) -> Result:
        """Go from generation to generation while the clock counts; see `result`."""
        run, config = self.run, self.run.config.search
        probe = look(run, self.journal, self.executor)
        for remark in (*doubts(run.task), unnamed(probe.signals), trainer.remark(run.config, probe)):
            if remark:
                self.watch.notice(remark)
        self.check_user_program(probe)
        trials, stills = (
            Trials(run, self.journal, self.executor, self.watch, probe),
            Stills(self.executor, self.watch.notice),
        )
        course = Course(
            trials,
            self.designer,
            critic.Critic(run, probe, self.models),
            analyzer.Analyzer(run, probe, self.models, stills),
        )
        panel = feedback.Panel(run, self.journal, llm_judge.of(run, self.journal, self.models, stills))
        added = (panel.generations - config.generations) * config.population * config.seeds
        self.watch.started(config.trainings + added, config.env_steps)
        history: list[Candidate] = []
        plans: list[Generation] = []
        stopped = None
        for generation in range(panel.generations):
            history = panel.rank(history, generation)
            heard = panel.hear(generation)
            if not self.has_begun(generation):
                waits = panel.waits(history, generation)
                if waits:
                    return final_evaluation.pause(trials, history, self.spent, waits)
                added, asked = len(heard.programs), panel.asked(generation)
                stopped = stopping.due(run.config, history, clock.wall_s, programs=added, target=not asked)
                if stopped:
                    break
            plans.append(self.plan(course, history, plans, heard))
            briefs = [brief_of(run, probe, generation, history, slot, heard) for slot in plans[-1].slots]
            outcomes = self.generation(course, briefs)
            history += [outcome for outcome in outcomes if isinstance(outcome, Candidate)]
            stopped = stopping.of_budget(outcomes)
            if stopped:
                break
        history = panel.rank(history, len(plans))
        waits = None if stopped else panel.waits(history, len(plans))
        if waits:
            return final_evaluation.pause(trials, history, self.spent, waits)
        best = evolution.incumbent(history, run.config.evolution)
        if best is None:
            raise stopping.without_result(history, stopped, run)
        result = final_evaluation.report(trials, best, history, self.spent, stopped)
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

    def has_begun(self, generation: int) -> bool:
        """Whether a generation is planned; it is then finished, whatever a failure that was tried again has come to."""
        return plan_key(generation) in self.journal

    def plan(self, course: Course, history: list[Candidate], plans: list[Generation], heard: State) -> Generation:
        """Evolution: decide what each slot of the next generation is made from; the user's programs have their own."""
        generation = len(plans)
        names, unlike = [signal.name for signal in course.trials.probe.signals], course.critic.gates.distance

        def decide() -> Generation:
            return prompt_notes.with_programs(evolution.plan(self.run.config, history, plans, names, unlike), heard)

        plan = self.journal.once(plan_key(generation), Generation, decide)
        if generation == 0 and self.run.config.search.user_alone and self.run.user_program() is not None:
            plan = replace(plan, slots=plan.slots[:1])
        for note in plan.notes:
            self.watch.notice(f"g{generation}: {note}")
        return plan

    def generation(self, course: Course, briefs: list[Brief]) -> list[Candidate | BaseException]:
        """Take every slot of a generation through the steps, at once."""
        parents = {parent.id: parent for brief in briefs for parent in brief.parents}
        self.watch.generation(replace(briefs[0], parents=tuple(parents.values())))
        name, slots = f"g{briefs[0].generation}", range(len(briefs))
        ids = [f"{name}c{slot:02d}" for slot in slots]
        race = Race(self.journal, name, ids, trainer.search_seeds(self.run.config), self.run.config.search.keep)
        return together(lambda slot: self.candidate(course, briefs[slot], slot, race.lane(ids[slot])), slots)

    def candidate(self, course: Course, brief: Brief, slot: int, lane: Lane) -> Candidate:
        """Take one slot of a generation through the steps; the analyzer is the last."""
        try:
            return course.explain(self.scored(course, brief, slot, lane))
        finally:
            course.critic.gates.leave(lane.candidate)

    def scored(self, course: Course, brief: Brief, slot: int, lane: Lane) -> Candidate:
        """Designer and critic, trainer and evaluator; whatever comes of it, the other slots do not wait for more."""
        try:
            candidate = course.design(lane.candidate, brief, slot)
            return course.score(candidate, lane) if candidate.status == "ok" else candidate
        finally:
            course.critic.gates.tell(brief.generation, slot, None)
            lane.leave()


def plan_key(generation: int) -> str:
    """Return the journal's key of a generation's plan."""
    return f"g{generation}/evolution/plan"
