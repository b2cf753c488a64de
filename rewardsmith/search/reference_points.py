"""Reference points of a search's fitness: random actions and the environment's own reward, measured first.

Prompts show them as the scale of the fitness, and the report takes them from the journal. Random actions are evaluated
before the first program is written; policies on the environment's own reward train beside the first generation, while
the designer thinks.
"""

from __future__ import annotations

import contextvars
import threading

from rewardsmith.contract.errors import RewardsmithError
from rewardsmith.contract.fitness import describe_measure
from rewardsmith.llm import prompts
from rewardsmith.search.steps import evaluator, trainer
from rewardsmith.search.storage.layout import BASELINE
from rewardsmith.search.trial import TrialRunner

NO_SCALE = "Fitness is measured by comparisons of programs; a number alone says nothing."

JUDGED_MEASURE = "a judge's score, from 0 to 1"


class ReferencePoints:
    """The two results that a fitness is compared with."""

    def __init__(self, trials: TrialRunner) -> None:
        """Take what measures them.

        Args:
            trials: runs and remembers trainings and evaluations.
        """
        self._trials = trials
        self._random: float | None = None
        self._trained: list[float] = []
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Measure random actions, and begin to train on the environment's own reward, unless nobody reads of them.

        Only the prompts of a designer name them before the end. Under a limit of wall time the trainings wait, as
        generations come first.

        Raises:
            WorkerFailed: if the machinery failed repeatedly.
        """
        config = self._trials.run.config
        if not config.search.prompts_designer or not config.search.final_seeds or not self._has_scale:
            return
        self._random = self._trials.evaluate(BASELINE, None, self._episodes).fitness
        if config.search.baseline and config.budget.wall_s is None:
            context = contextvars.copy_context()
            self._thread = threading.Thread(target=context.run, args=(self._train,), daemon=True)
            self._thread.start()

    def describe(self, generation: int) -> str:
        """Return the kind and unit of the fitness with the reference points, for prompts.

        A generation after the first waits for the trainings, so that equal searches have equal prompts.

        Args:
            generation: that the prompt is for.
        """
        run = self._trials.run
        if not self._has_scale:
            return NO_SCALE
        if generation and self._thread is not None:
            self._thread.join()
        signals = (*self._trials.probe.signals, *run.task.env.privileged_signals)
        measure = JUDGED_MEASURE if run.config.judges_fitness else describe_measure(run.task.fitness, signals)
        points = []
        if self._random is not None:
            points.append(f"random actions {prompts.format_value(self._random)}")
        points += self._describe_environment_reward(generation)
        reached = f"; for comparison: {', '.join(points)}" if points else ""
        return f"Fitness is {measure or 'a number'}{reached}."

    @property
    def _has_scale(self) -> bool:
        """Whether programs are ranked by a number, and not by comparisons."""
        config = self._trials.run.config
        return config.feedback.rank == "metric" or config.judges_fitness

    @property
    def _episodes(self) -> tuple[int, ...]:
        config = self._trials.run.config
        return evaluator.episode_seeds(config, evaluator.REPORT, config.evaluation.final_episodes)

    def _train(self) -> None:
        config = self._trials.run.config
        seeds = trainer.training_seeds(config, trainer.FINAL_SEEDS, config.search.final_seeds)
        try:
            trials = self._trials.run_trials(BASELINE, None, seeds, self._episodes)
        except (RewardsmithError, ValueError):
            # The final evaluation tries again and says what is wrong; a search that ended has closed its journal.
            return
        self._trained = [trial.fitness for trial in trials if trial.fitness is not None]

    def _describe_environment_reward(self, generation: int) -> list[str]:
        """Return the fitness of policies trained on the environment's reward: measured here, else the card's."""
        run = self._trials.run
        if generation and self._trained:
            mean = sum(self._trained) / len(self._trained)
            return [f"policies trained on the environment's own reward {prompts.format_value(mean)}"]
        if run.config.judges_fitness:
            return []
        steps = run.config.search.env_steps
        anchors = [one for one in run.task.anchors if one.policy == "environment-reward" and one.env_steps == steps]
        if not generation and anchors:
            return [
                f"policies trained on the environment's own reward about {prompts.format_rounded(anchors[0].fitness)}"
            ]
        return []
