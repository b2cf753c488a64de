"""Weights of a program's terms, fitted to demonstrations by maximum-entropy inverse reinforcement learning.

An episode's features are the sums of the terms over its steps, and its probability is proportional to exp(w . features)
(Ziebart et al. 2008). The weights maximise the likelihood of the demonstrations among all episodes at hand,

    mean over demonstrations of w . f  -  log of the sum over all episodes of exp(w . f)  -  RIDGE / 2 |w|^2,

the others being random actions and policies trained with the weights so far: the sampled partition function of guided
cost learning (Finn et al. 2016, arXiv:1603.00448), without its importance weights. As in ELEMENTAL (Chen et al. 2024,
arXiv:2411.18825), a model or a person writes the terms, and the weights come from demonstrations.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rewardsmith import sandbox
from rewardsmith.contract import import_path
from rewardsmith.contract.errors import RunFailed, TaskError
from rewardsmith.contract.fitness import Rollout
from rewardsmith.contract.program_edits import replace_weights
from rewardsmith.contract.records import EnvSpec, EvaluateJob, Job, TrainJob
from rewardsmith.contract.reward_program import RewardProgram, Transitions
from rewardsmith.contract.text import format_number
from rewardsmith.executors.base import R
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.executors.probe import run_probe
from rewardsmith.sandbox import RewardProcess
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.sandbox.recorded_scores import build_layout, join_episodes, score_recording
from rewardsmith.search.steps import evaluator, trainer
from rewardsmith.spec.config import Config
from rewardsmith.spec.demonstrations import read_demonstrations
from rewardsmith.spec.task_cards import Task

Array = NDArray[np.float64]

EPISODES = 20
"""Episodes under random actions, and of each trained policy."""
RIDGE = 0.1
"""Weight of the squared weights, of features of deviation 1: without it, weights that tell all demonstrations apart
grow without end."""
NEWTON_STEPS = 50
TOLERANCE = 1e-8
SMALLEST = 1e-9
"""A term whose sums vary less than this cannot be fitted."""


TermSums = dict[str, Array]
"""Term to its sums over episodes (m,)."""


@dataclass(frozen=True)
class FittedTerm:
    """A term and its weight."""

    name: str
    before: float
    """Weight in the program."""
    after: float
    """Fitted weight; unchanged where the term's sum is the same in all episodes."""
    demonstrated: float
    """Mean sum over a demonstration."""
    others: float
    """Mean sum over the other episodes."""


@dataclass(frozen=True)
class WeightFit:
    """A program with fitted weights."""

    source: str
    """Its text."""
    terms: tuple[FittedTerm, ...]
    demonstrations: int
    """Number of episodes."""
    others: int
    fitness: tuple[float | None, ...]
    """Mean fitness of random actions, then of the policy of each round; None where it has no value."""


def fit_program(
    program: RewardProgram,
    task: Task,
    config: Config,
    files: Sequence[Path],
    rounds: int,
    report_progress: Callable[[str], None],
) -> WeightFit:
    """Fit the weights of a program's terms to demonstrations.

    Args:
        program: whose terms are kept.
        task: its environment, in which the demonstrations were recorded.
        config: settings and length of a training, and the limits of the reward process.
        files: of recorded episodes.
        rounds: how often a policy is trained with the weights so far; 0: random actions are the only others.
        report_progress: called with a line about each step.

    Raises:
        UserError: if a file cannot be read, or lacks a signal that the program names.
        RewardFailed: if the program misbehaves.
        RunFailed: if a training or an evaluation gives no episodes.
    """
    demonstrations = [(path, episode) for path in files for episode in read_demonstrations(path, "--demo")]
    with tempfile.TemporaryDirectory() as folder, _open_episodes(program, task, config, Path(folder)) as episodes:
        shown = episodes.sum_terms(demonstrations)
        before = {name: program.weight(name) for name in shown}

        # Random actions first, then the policies that the weights so far give.
        others, fitness = episodes.run_policy("random", None)
        history, weights = [fitness], fit_weights(shown, others, before)
        for number in range(1, rounds + 1):
            report_progress(f"round {number} of {rounds}: trains with {_format_weights(weights)}")
            policy = episodes.train(replace_weights(program.source, weights), number)
            added, fitness = episodes.run_policy(f"policy{number}", policy)
            report_progress(f"round {number} of {rounds}: its policy has the fitness {format_number(fitness)}")
            others = {name: np.concatenate([others[name], added[name]]) for name in others}
            history, weights = [*history, fitness], fit_weights(shown, others, before)

    return WeightFit(
        source=replace_weights(program.source, weights),
        terms=tuple(
            FittedTerm(name, before[name], weights[name], float(shown[name].mean()), float(others[name].mean()))
            for name in shown
        ),
        demonstrations=len(demonstrations),
        others=EPISODES * (1 + rounds),
        fitness=tuple(history),
    )


def fit_weights(shown: TermSums, others: TermSums, before: Mapping[str, float]) -> dict[str, float]:
    """Return the weights of terms that make demonstrations likely among all episodes.

    Their scale is that of the weights before: the likelihood does not know what a training takes well.

    >>> shown, others = {"up": np.array([2.0, 3.0])}, {"up": np.array([0.0, 1.0])}
    >>> {name: round(weight, 6) for name, weight in fit_weights(shown, others, {"up": -5.0}).items()}
    {'up': 5.0}

    Args:
        shown: term to its sums over the demonstrations.
        others: term to its sums over other episodes.
        before: term to its weight.
    """
    names = list(shown)
    features = np.stack([np.concatenate([shown[name], others[name]]) for name in names], axis=1)
    center, scale = features.mean(axis=0), features.std(axis=0)
    varying = scale > SMALLEST * (1.0 + np.abs(center))
    scaled = (features[:, varying] - center[varying]) / scale[varying]
    wanted = scaled[: len(shown[names[0]])].mean(axis=0)

    # Newton's method on the concave likelihood; each step is halved until it does not lose.
    fitted = np.zeros(scaled.shape[1])
    for _ in range(NEWTON_STEPS):
        chance = _softmax(scaled @ fitted)
        mean = chance @ scaled
        gradient = wanted - mean - RIDGE * fitted
        curvature = (scaled * chance[:, None]).T @ scaled - np.outer(mean, mean) + RIDGE * np.eye(len(fitted))
        step = np.linalg.solve(curvature, gradient)
        while _likelihood(fitted + step, scaled, wanted) < _likelihood(fitted, scaled, wanted):
            step = 0.5 * step
            if np.abs(step).max() < TOLERANCE:
                break
        fitted = fitted + step
        if np.abs(step).max() < TOLERANCE:
            break

    weights = np.array([before[name] for name in names])
    size, fitted_size = np.abs(weights[varying] * scale[varying]).sum(), np.abs(fitted).sum()
    if fitted_size > 0.0:
        weights[varying] = fitted / scale[varying] * ((size or 1.0) / fitted_size)
    return dict(zip(names, weights.tolist(), strict=True))


def _softmax(logits: Array) -> Array:
    weight = np.exp(logits - logits.max())
    return np.asarray(weight / weight.sum())


def _likelihood(weights: Array, features: Array, wanted: Array) -> float:
    """Return the mean log-likelihood of demonstrations with the mean features `wanted`, less the penalty."""
    logits = features @ weights
    log_sum = logits.max() + np.log(np.exp(logits - logits.max()).sum())
    return float(wanted @ weights - log_sum - 0.5 * RIDGE * weights @ weights)


def _format_weights(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {format_number(weight)}" for name, weight in weights.items())


# ---------------------------------------------------------------- episodes


class _Episodes:
    """Episodes of one environment, and the sums of a program's terms over them."""

    def __init__(
        self, process: RewardProcess, executor: LocalExecutor, task: Task, config: Config, env: EnvSpec, folder: Path
    ) -> None:
        self._process, self._executor, self._task, self._config = process, executor, task, config
        self._env, self._folder = env, folder

    def sum_terms(self, episodes: Sequence[tuple[Path, Rollout]]) -> TermSums:
        """Return the sums of each term over recorded episodes, which come with their files for messages."""
        parts = [_make_transitions(self._process.program, path, episode) for path, episode in episodes]
        recording = join_episodes(parts)
        terms = score_recording(self._process, recording).terms
        return {name: np.array([values[rows].sum() for rows in recording.in_order]) for name, values in terms.items()}

    def run_policy(self, label: str, policy: Path | None) -> tuple[TermSums, float | None]:
        """Return the sums over fresh episodes of a policy, or of random actions, and their mean fitness."""
        job = EvaluateJob(
            env=self._env,
            policy=None if policy is None else str(policy),
            fitness=self._task.fitness,
            seeds=evaluator.episode_seeds(self._config, evaluator.SELECTION, EPISODES),
            record=self._process.program.signals,
        )
        evaluation = self._run_checked(job, label)
        file = EpisodeFile.in_folder(self._folder / label)
        rollouts = [file.read_rollout(place, one.terminated) for place, one in enumerate(evaluation.episodes)]
        return self.sum_terms([(file.path, rollout) for rollout in rollouts]), evaluation.fitness

    def train(self, source: str, number: int) -> Path:
        """Train on a program, and return the policy's folder."""
        label = f"train{number}"
        job = TrainJob(
            env=self._env,
            program=source,
            fitness=self._task.fitness,
            seed=trainer.SEARCH_SEEDS + number,
            env_steps=self._config.search.env_steps,
            settings=self._config.training,
            limits=self._config.sandbox,
        )
        self._run_checked(job, label)
        return self._folder / label

    def _run_checked(self, job: Job[R], label: str) -> R:
        result = self._executor.run(job, self._folder / label)
        if result.status != "ok":
            raise RunFailed(f"{label}: no result: {result.cause}")
        return result


@contextmanager
def _open_episodes(program: RewardProgram, task: Task, config: Config, folder: Path) -> Iterator[_Episodes]:
    """Open what runs and scores episodes; the program runs in its sealed process alone."""
    probe = run_probe(task.env)
    env = probe.complete_env(task.env)
    modules = import_path.find_module_folder(task.env.modules, Path.cwd())
    executor = LocalExecutor(1, config.limits.job_s, config.limits.memory_mib, modules)
    try:
        with sandbox.open_process(program, build_layout(probe), config.sandbox) as process:
            yield _Episodes(process, executor, task, config, env, folder)
    finally:
        executor.close()


def _make_transitions(program: RewardProgram, path: Path, episode: Rollout) -> Transitions:
    """Return an episode's transitions as a program takes them.

    Raises:
        TaskError: if a signal that it names was not recorded.
    """
    missing = next((name for name in program.signals if name not in episode.signals), None)
    if missing:
        recorded = ", ".join(sorted(episode.signals))
        raise TaskError(
            f"the program names the signal {missing!r}, which {str(path)!r} has not: it has {recorded}; record it with"
            " `rewardsmith record` in the program's environment"
        )
    return Transitions.of_episode(program, episode)
