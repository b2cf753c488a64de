"""What the border costs: sealing a process, calls small and large, and a container's first answer.

    python benchmarks/sandbox.py [REPEATS]

Each sealed call is timed next to the same NumPy code in this process, taking turns; figures are medians, with the
tenth and ninetieth percentile. Without a Docker engine its rows are missing.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from rewardsmith.contract.errors import SandboxUnavailable
from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import RewardProgram, Transitions, parse
from rewardsmith.sandbox import Layout, Zygote, open_process

NAMES = tuple(f"s{index}" for index in range(17))
LAYOUT = Layout(dict.fromkeys(NAMES, ()), (6,))
TEXT = f"""
WEIGHTS = {{"progress": 1.0, "posture": 0.3, "calm": 0.1, "effort": 0.05}}

def reward(before, action, after):
    posture = np.exp(-5.0 * ({" + ".join(f"after.{name}**2" for name in NAMES[:8])}))
    calm = -np.sqrt({" + ".join(f"np.abs(after.{name})" for name in NAMES[8:])})
    return {{
        "progress": after.s0 - before.s0,
        "posture": posture,
        "calm": calm,
        "effort": -np.sum(action**2, axis=1),
    }}
"""
PROGRAM: RewardProgram = parse(TEXT)
Row = tuple[str, list[float], str, str]


def main() -> None:
    """Measure and print the table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rows = [*sealing(min(repeats, 100)), *(row for n in (8, 64, 2048) for row in calls(n, repeats)), *containers()]
    print(f"| {'what':40} | {'median':>9} | {'10 %':>9} | {'90 %':>9} | unit | {'limit':30} |")
    print(f"|{'-' * 42}|{'-' * 10}:|{'-' * 10}:|{'-' * 10}:|------|{'-' * 32}|")
    for what, values, unit, limit in rows:
        low, middle, high = np.percentile(values, (10, 50, 90))
        print(f"| {what:40} | {middle:9.1f} | {low:9.1f} | {high:9.1f} | {unit:4} | {limit:30} |")


def sealing(repeats: int) -> list[Row]:
    """Time the zygote's start, and a process's seal, first answer and end."""
    given = transitions(8)
    cold, sealed, first, closed = [], [], [], []
    for _ in range(5):
        with timed(cold), Zygote() as zygote, open_process(PROGRAM, LAYOUT, Limits("local"), zygote):
            pass
    with Zygote() as zygote:
        open_process(PROGRAM, LAYOUT, Limits("local"), zygote).close()
        for _ in range(repeats):
            with timed(sealed):
                process = open_process(PROGRAM, LAYOUT, Limits("local"), zygote)
            with timed(first):
                process.score(given)
            with timed(closed):
                process.close()
    return [
        ("start a zygote, seal, end both", milliseconds(cold), "ms", ""),
        ("seal a warm process", milliseconds(sealed), "ms", "at most 10 ms"),
        ("compile and answer a first call", milliseconds(first), "ms", ""),
        ("end a process", milliseconds(closed), "ms", ""),
    ]


def calls(n: int, repeats: int) -> list[Row]:
    """Time a call of n transitions, sealed and in this process by turns."""
    given = transitions(n)
    inside, sealed = [], []
    direct = in_this_process(given)
    with open_process(PROGRAM, LAYOUT, Limits("local")) as process:
        process.score(given)
        direct()
        for _ in range(repeats):
            with timed(inside):
                direct()
            with timed(sealed):
                process.score(given)
    allowed = 2 * statistics.median(inside) * 1e6 + 100
    limit = f"2 x in-process + 100 = {allowed:.0f}" if n == 2048 else ""
    return [
        (f"{n:,} transitions, in this process", microseconds(inside), "µs", ""),
        (f"{n:,} transitions, sealed", microseconds(sealed), "µs", limit),
    ]


def containers() -> list[Row]:
    """Time a container's first answer and its calls, where an engine runs."""
    first, each = [], []
    given = transitions(2048)
    try:
        open_process(PROGRAM, LAYOUT, Limits("docker")).close()
    except SandboxUnavailable as error:
        print(f"without Docker: {error}\n", file=sys.stderr)
        return []
    for _ in range(5):
        with timed(first):
            process = open_process(PROGRAM, LAYOUT, Limits("docker"))
            process.score(given)
        for _ in range(100):
            with timed(each):
                process.score(given)
        process.close()
    return [
        ("a container's first answer", milliseconds(first), "ms", "at most 1,500 ms"),
        ("2,048 transitions, in a container", microseconds(each), "µs", ""),
    ]


def transitions(n: int) -> Transitions:
    """Return n random transitions with the signals that the program names."""
    random = np.random.default_rng(0)
    after = {name: random.normal(size=n) for name in NAMES}
    return Transitions(random.normal(size=(n, 6)), {"s0": random.normal(size=n)}, after)


def in_this_process(given: Transitions) -> Callable[[], object]:
    """Return a call of the same code here, without any border."""
    names: dict[str, object] = {"np": np}
    exec(TEXT, names)
    reward: Callable[..., object] = names["reward"]  # type: ignore[assignment]
    before, after = SimpleNamespace(**given.before), SimpleNamespace(**given.after)
    return lambda: reward(before, given.action, after)


class timed:
    """Append the duration of the block, in seconds."""

    def __init__(self, into: list[float]) -> None:
        self._into = into

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._into.append(time.perf_counter() - self._start)


def milliseconds(seconds: list[float]) -> list[float]:
    """Convert durations."""
    return [1e3 * value for value in seconds]


def microseconds(seconds: list[float]) -> list[float]:
    """Convert durations."""
    return [1e6 * value for value in seconds]


if __name__ == "__main__":
    main()
