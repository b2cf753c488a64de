"""The presets and the symbolic designer under one budget: 12 programs per task, each trained once for so many steps.

    python benchmarks/presets.py OUT [--presets smith eureka ...] [--tasks hopper ...] [--steps 60000] [--jobs 2]
                                 [--model NAME] [--replay DIR]
    python benchmarks/presets.py OUT --table

Every preset keeps its recipe but for the shape of the search, which is the same for all: 4 candidates × 3 generations.
Text2Reward's and Auto MC-Reward's one program at a time is thereby four at a time, and Text2Reward's user is replaced
by the figures of the training. The best program of each search is trained anew with 3 fresh seeds; the environment's
own reward is trained once per task, beside the symbolic designer's search. `--replay` answers the model's calls from
ledgers, DIR/<task>/<preset>.jsonl, such as those in `benchmarks/ledgers`. A search that OUT already holds is resumed.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from search import told

import rewardsmith
from rewardsmith.contract.errors import RewardsmithError
from rewardsmith.contract.records import Result
from rewardsmith.search.storage import Run
from rewardsmith.spec.task_cards import load_task

SYMBOLIC = "symbolic"
PRESETS = (SYMBOLIC, "smith", "eureka", "text2reward", "auto-mc-reward")
TASKS = ("hopper", "half_cheetah", "hopper_back_flip")
POPULATION, GENERATIONS, FINAL_SEEDS = 4, 3, 3


def main() -> None:
    """Search what is asked for, then print the table of all that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--jobs", type=int, default=2, help="searches at once, each with one training at a time")
    parser.add_argument("--model", default="recorded", help="name of the model, at the endpoint of OPENAI_BASE_URL")
    parser.add_argument("--replay", type=Path, default=None, help="folder of ledgers")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    arguments = parser.parse_args()
    if not arguments.table:
        cells = [(preset, task) for task in arguments.tasks for preset in arguments.presets]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for (preset, task), outcome in zip(
                cells, pool.map(lambda cell: search(*cell, arguments), cells), strict=True
            ):
                print(f"{preset} on {task}: {outcome}", flush=True)
    table(arguments.out)


def search(preset: str, task: str, arguments: argparse.Namespace) -> str:
    """Search, and say what came of it."""
    out = arguments.out / task / preset
    try:
        result = rewardsmith.resume(out) if out.exists() else _begin(preset, task, out, arguments)
    except RewardsmithError as error:
        return f"no result: {error}"
    return told(result.reported)


def _begin(preset: str, task: str, out: Path, arguments: argparse.Namespace) -> Result:
    settings: dict[str, object] = {
        "jobs": 1,
        "search.population": POPULATION,
        "search.generations": GENERATIONS,
        "search.final_seeds": FINAL_SEEDS,
        "search.env_steps": arguments.steps,
        "search.baseline": preset == SYMBOLIC,
    }
    if preset == SYMBOLIC:
        settings["search.designer"] = SYMBOLIC
    else:
        settings |= {"preset": preset, "llm.model": arguments.model, "llm.timeout_s": 7200.0}
    if preset != SYMBOLIC and arguments.replay:
        settings["llm.replay"] = str((arguments.replay / task / preset).with_suffix(".jsonl").absolute())
        settings["llm.replay_by"] = "position"  # figures in later prompts differ between machines in their last digits
    return rewardsmith.design(load_task(None, task).text, task, out=out, settings=settings)


def table(out: Path) -> None:
    """Print a row per search that has a result."""
    columns = ("task", "designer", "search", "trained anew", "own reward", "random", "trained", "calls", "tokens")
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for path in sorted(out.glob("*/*/config.toml")):
        result = Run.open(path.parent).result()
        if result is None:
            continue
        trained = sum(candidate.fitness is not None for candidate in result.candidates)
        best = "–" if result.best.fitness is None else f"{result.best.fitness:.3g}"
        figures = (best, told(result.reported), told(result.baselines.own_reward), f"{result.baselines.random:.3g}")
        spent = (f"{trained} of {len(result.candidates)}", result.spent.calls, f"{result.spent.tokens:,}")
        print("|", " | ".join(map(str, (*path.parts[-3:-1], *figures, *spent))), "|")


if __name__ == "__main__":
    main()
