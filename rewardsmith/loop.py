"""The loop: designer, critic, trainer, evaluator, analyzer, evolution, until the generations or the budget end.

Every step goes through the journal, which answers for a step that is already done: a resumed search runs this
same code from its beginning. What happens inside a step is told in `rewardsmith/steps/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rewardsmith import ends, final
from rewardsmith.archive import Journal, Run
from rewardsmith.errors import ModelRefused, TaskError
from rewardsmith.fitness import Fitness
from rewardsmith.jobs import Executor
from rewardsmith.race import Lane, Race
from rewardsmith.records import Brief, Candidate, Feedback, Probe, ProbeJob, Proposal, Result, Spent, Verdict
from rewardsmith.steps import analyzer, critic, evaluator, evolution, trainer
from rewardsmith.steps.designer import Designer
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
        spent: Callable[[], Spent] = Spent,
    ) -> None:
        """Put the parts together.

        Args:
            run: the directory, which holds the task and the configuration.
            journal: of the run, open for writing.
            designer: proposes and repairs programs.
            executor: runs probes, trainings and evaluations.
            watch: is told what happens.
            spent: what the designer's model has cost so far.
        """
        self.run, self.journal, self.designer, self.executor, self.watch = run, journal, designer, executor, watch
        self.spent = spent
        self.began = time.monotonic()

    def result(self) -> Result:
        """Run the search to its end.

        Raises:
            NoValidCandidate: if no program of any generation could be scored.
            ModelError: if the language model cannot be had; what is done stays done.
            WorkerFailed: if the machinery fails beyond its retries.
            RunError: if the run directory cannot be written.
        """
        config = self.run.config.search
        probe = look(self.run, self.journal, self.executor)
        trials = Trials(self.run, self.journal, self.executor, self.watch, probe)
        self.watch.started(config.trainings, config.env_steps)
        history: list[Candidate] = []
        stopped = None
        for generation in range(config.generations):
            stopped = ends.due(self.run.config, history, time.monotonic() - self.began)
            if stopped:
                break
            brief = self.brief(probe, generation, history)
            self.watch.generation(brief)
            outcomes = self.generation(trials, brief)
            history += [outcome for outcome in outcomes if isinstance(outcome, Candidate)]
            stopped = ends.of_budget(outcomes)
            if stopped:
                break
        best = evolution.incumbent(history)
        if best is None:
            raise ends.without_result(history, stopped, self.run)
        result = final.report(trials, best, history, self.spent(), stopped)
        self.watch.finished(result)
        return result

    def brief(self, probe: Probe, generation: int, history: list[Candidate]) -> Brief:
        """Evolution: choose the parents, and put together what the designer is told."""
        choose = lambda: [parent.id for parent in evolution.parents(history, generation)]  # noqa: E731
        chosen = self.journal.once(f"g{generation}/evolution", list[str], choose)
        known = {candidate.id: candidate for candidate in history}
        task, config = self.run.task, self.run.config.search
        return Brief(
            task=task.text,
            env_id=task.env.env_id,
            env_about=task.env_about,
            signals=probe.signals,
            action=task.action,
            generation=generation,
            population=config.population,
            seed=config.seed,
            parents=tuple(known[id] for id in chosen if id in known),
            history=tuple(history),
        )

    def generation(self, trials: Trials, brief: Brief) -> list[Candidate | BaseException]:
        """Take every slot of a generation through the steps, at once."""
        name, slots = f"g{brief.generation}", range(brief.population)
        ids = [f"{name}c{slot:02d}" for slot in slots]
        race = Race(self.journal, name, ids, trainer.search_seeds(self.run.config), self.run.config.search.keep)
        return together(lambda slot: self.candidate(trials, brief, slot, race.lane(ids[slot])), slots)

    def candidate(self, trials: Trials, brief: Brief, slot: int, lane: Lane) -> Candidate:
        """Take one slot of a generation through the steps."""
        try:
            candidate = self.design(lane.candidate, trials.probe, brief, slot)
            if candidate.status == "ok":
                candidate = self.score(candidate, trials, lane)
        finally:
            lane.leave()
        return self.explain(candidate, trials)

    def design(self, id: str, probe: Probe, brief: Brief, slot: int) -> Candidate:
        """Designer and critic: a refused program goes back to its author, a few times."""
        candidate = Candidate(id, brief.generation, slot, Proposal("", "none"), "invalid")
        make = partial(self.designer.propose, brief, slot)
        for attempt in range(self.run.config.search.max_repairs + 1):
            self.watch.stage(id, "repair" if attempt else "design")
            try:
                proposal = self.journal.once(f"{id}/designer/{attempt}", Proposal, make)
            except ModelRefused as error:
                return replace(candidate, cause=str(error))
            self.watch.stage(id, "check")
            check = partial(self.review, proposal, probe)
            verdict = self.journal.once(f"{id}/critic/{attempt}", Verdict, check)
            candidate = replace(candidate, proposal=proposal, verdict=verdict, repairs=attempt)
            if verdict.accepted:
                return replace(candidate, status="ok")
            make = partial(self.designer.repair, brief, proposal, verdict.findings, attempt + 1)
        errors = [finding.message for finding in verdict.findings if finding.severity == "error"]
        return replace(candidate, cause="; ".join(errors))

    def review(self, proposal: Proposal, probe: Probe) -> Verdict:
        """Critic: check a program on the recorded transitions."""
        transitions = self.run.path / "probe" / "transitions.npz"
        return critic.review(proposal.source, probe, transitions, self.run.config.sandbox)

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
        analyze = partial(analyzer.analyze, candidate, folders)
        feedback = self.journal.once(f"{candidate.id}/analyzer", Feedback, analyze, keep=lambda _: keep)
        candidate = replace(candidate, feedback=feedback)
        self.run.save(candidate)
        self.watch.judged(candidate)
        return candidate


def look(run: Run, journal: Journal, executor: Executor) -> Probe:
    """Look at the environment: its catalogue, and transitions for the critic's dry run.

    Raises:
        TaskError: if the environment cannot be made, or the fitness names what it does not have.
    """
    job = ProbeJob(run.task.env, run.config.search.seed, run.config.evaluation.probe_transitions)

    def ran() -> Probe:
        result = executor.run(job, run.folder("probe"))
        assert isinstance(result, Probe)  # the executor answers a job with its own kind of result
        return result

    probe = journal.once("probe/loop", Probe, ran, keep=is_final)
    if probe.status != "ok":
        raise TaskError(probe.cause or f"the environment {run.task.env.env_id!r} could not be run")
    Fitness.parse(run.task.fitness).check(signal.name for signal in probe.signals)
    return probe
