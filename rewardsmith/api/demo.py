"""The demo: a recorded search of a language model, replayed without a key and trained for real on this machine.

The answers in `prompts/demo/` are the whole first generation of a recorded search: four reward programs, as a language
model wrote them that saw nothing but the prompt. They are replayed by position (role, sample, turn), as the words of
prompts change between versions. Checks, sandbox, trainings and evaluations are those of any search.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewardsmith.api import searches
from rewardsmith.api.planning import SearchPlan, plan_search
from rewardsmith.api.searches import RUNS
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.report import html
from rewardsmith.report.video import ENVIRONMENT_REWARD, FINAL_OWNER, VideoClip, render_video
from rewardsmith.search.storage import Run

if TYPE_CHECKING:
    from rewardsmith.executors.base import Executor

TASK, PRESET = "hopper_back_flip", "eureka"
"""The card, and the preset of the recorded search."""
POPULATION = 4
"""Programs of the recorded generation."""
ENV_STEPS, FINAL_SEEDS = 100_000, 5
"""Environment steps of each of the 14 trainings, and the preset's own number of fresh seeds: a training either learns
the flip or stops at half a turn, so 3 seeds often do not tell the two rewards apart (benchmarks/RESULTS.md)."""
FITNESS_MEANING = "the turns of the best flight plus the number of flips; one complete flip is 2"
"""The card's fitness in words."""

SYMBOLIC_TEXT, SYMBOLIC_TASK = "Hop forward as far as you can without falling", "Hopper-v5"
SYMBOLIC_ENV_STEPS = 120_000

MACHINE_VARIABLES = ("REWARDSMITH_JOBS", "REWARDSMITH_SANDBOX__", "REWARDSMITH_LIMITS__", "REWARDSMITH_EXECUTOR__")
"""Beginnings of the environment variables that the demo heeds: the machine's; the others would change the search."""


def find_recorded_answers() -> Path:
    """Find the ledger that the demo replays."""
    return find_data_folder("prompts") / "demo" / f"{TASK}.jsonl"


def choose_demo_path(symbolic: bool = False, seed: int = 0) -> Path:
    """Return the run directory of a demo that names none.

    >>> choose_demo_path().as_posix(), choose_demo_path(symbolic=True, seed=3).as_posix()
    ('runs/demo', 'runs/demo-symbolic-seed3')
    """
    kind = "demo-symbolic" if symbolic else "demo"
    return RUNS / (f"{kind}-seed{seed}" if seed else kind)


def plan_demo(
    *,
    symbolic: bool = False,
    seed: int = 0,
    env_steps: int | None = None,
    variables: Mapping[str, str] = os.environ,
) -> SearchPlan:
    """Plan the demo.

    Args:
        symbolic: search with the symbolic designer for a hopping reward, in place of the recorded search.
        seed: of all random choices.
        env_steps: environment steps of each training; None takes the demo's.
        variables: environment variables, of which those about this machine count (`MACHINE_VARIABLES`).

    Raises:
        UserError: if a value is not allowed.
    """
    machine = {name: value for name, value in variables.items() if name.startswith(MACHINE_VARIABLES)}
    if symbolic:
        search = {"designer": "symbolic", "seed": seed, "env_steps": env_steps or SYMBOLIC_ENV_STEPS}
        return plan_search(SYMBOLIC_TEXT, SYMBOLIC_TASK, overrides={"search": search}, variables=machine)

    overrides: dict[str, Any] = {
        "preset": PRESET,
        "search": {
            "designer": "llm",
            "population": POPULATION,
            "generations": 1,
            "env_steps": env_steps or ENV_STEPS,
            "final_seeds": FINAL_SEEDS,
            "seed": seed,
        },
        "llm": {"replay": str(find_recorded_answers()), "replay_by": "position"},
    }
    return plan_search(None, TASK, overrides=overrides, variables=machine)


def open_demo(plan: SearchPlan, path: Path) -> Run:
    """Open the run of an earlier call of the demo, or create it.

    Args:
        plan: from `plan_demo`.
        path: the run directory.

    Raises:
        ConfigError: if the directory holds another search.
        RunError: if the directory cannot be made or read.
    """
    if not path.exists() or not any(path.iterdir()):
        return searches.create_run(plan, path)

    # The installed answers may lie elsewhere by now.
    replay = plan.config.llm.replay
    run = Run.open(path, {"llm": {"replay": replay}} if replay else {})
    if (run.task.name, run.config.search) != (plan.task.name, plan.config.search):
        raise ConfigError(
            f"{path} holds another search, not this demo; take another directory with --out, or continue that search: "
            f"rewardsmith resume {path}"
        )
    return run


def film_demo(run: Run, executor: Executor | None = None) -> tuple[VideoClip, VideoClip]:
    """Return the films of the retrained best program and of the environment reward, each of its median episode.

    They are made if they do not exist, and the report then shows them.

    Args:
        run: a finished demo.
        executor: where they are rendered; None starts a worker here.

    Raises:
        RewardsmithError: if this machine cannot render, or the machinery fails.
    """
    clips = (
        render_video(run, FINAL_OWNER, executor=executor),
        render_video(run, ENVIRONMENT_REWARD, executor=executor),
    )
    html.write_report(run)
    return clips
