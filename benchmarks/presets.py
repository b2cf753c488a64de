"""The presets and the symbolic designer under one budget: 12 programs per task, each trained once.

    python benchmarks/presets.py OUT [--presets smith eureka ...] [--tasks hopper ...] [--steps 60000] [--jobs 2]
                                 [--model NAME] [--replay DIR]
    python benchmarks/presets.py OUT --table

The shape of the search is the same for all presets: 4 candidates × 3 generations.
So Text2Reward and Auto MC-Reward, which design one program at a time, design four, and the reflection replaces
Text2Reward's user. The best program of each search is retrained on 3 fresh seeds; the baseline on the environment
reward is trained once per task, in the symbolic designer's search. `--replay` answers the model's calls from
ledgers, DIR/<task>/<preset>.jsonl, such as those in `benchmarks/ledgers`. A search that OUT already holds is resumed.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from search import format_interval

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
    """Run the chosen searches, then print the table of all results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--jobs", type=int, default=2, help="searches at once, each with one training at a time")
    parser.add_argument("--model", default="recorded", help="name of the model, at the endpoint of OPENAI_BASE_URL")
    parser.add_argument("--replay", type=Path, default=None, help="folder of ledgers")
    parser.add_argument("--table", action="store_true", help="only print the table of the results in OUT")
    arguments = parser.parse_args()
    if not arguments.table:
        cells = [(preset, task) for task in arguments.tasks for preset in arguments.presets]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for (preset, task), outcome in zip(
                cells, pool.map(lambda cell: run_search(*cell, arguments), cells), strict=True
            ):
                print(f"{preset} on {task}: {outcome}", flush=True)
    print_table(arguments.out)


def run_search(preset: str, task: str, arguments: argparse.Namespace) -> str:
    """Run or resume one search; return its reported fitness, or the error."""
    out = arguments.out / task / preset
    try:
        result = rewardsmith.resume(out) if out.exists() else _begin(preset, task, out, arguments)
    except RewardsmithError as error:
        return f"no result: {error}"
    return format_interval(result.reported)


def _begin(preset: str, task: str, out: Path, arguments: argparse.Namespace) -> Result:
    settings: dict[str, object] = {
        "jobs": 1,
        "search.population": POPULATION,
        "search.generations": GENERATIONS,
        "search.finalist_share": 0.0,
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
        settings["llm.replay_by"] = "position"  # numbers in later prompts differ between machines in their last digits
    return rewardsmith.design(load_task(None, task).text, task, out=out, settings=settings)


def print_table(out: Path) -> None:
    """Print a row per search that has a result."""
    columns = ("task", "designer", "search", "retrained", "environment reward", "random", "trained", "calls", "tokens")
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for path in sorted(out.glob("*/*/config.toml")):
        result = Run.open(path.parent).read_result()
        if result is None:
            continue
        trained = sum(candidate.fitness is not None for candidate in result.candidates)
        best = "–" if result.best.fitness is None else f"{result.best.fitness:.3g}"
        baselines = (format_interval(result.baselines.environment_reward), f"{result.baselines.random:.3g}")
        figures = (best, format_interval(result.reported), *baselines)
        spent = (f"{trained} of {len(result.candidates)}", result.spent.calls, f"{result.spent.tokens:,}")
        print("|", " | ".join(map(str, (*path.parts[-3:-1], *figures, *spent))), "|")


if __name__ == "__main__":
    main()
