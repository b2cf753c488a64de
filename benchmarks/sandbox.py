"""The cost of the sandbox: sealing a process, small and large calls, and a container's first answer.

    python benchmarks/sandbox.py [REPEATS]

Each sealed call is timed next to the same NumPy code in this process, and both take turns; the table shows medians
and the tenth and ninetieth percentile. Without a Docker engine the rows of containers are missing.
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
from rewardsmith.contract.reward_program import RewardProgram, Transitions, parse_program
from rewardsmith.sandbox import ProgramLayout, Zygote, open_process

NAMES = tuple(f"s{index}" for index in range(17))
LAYOUT = ProgramLayout(dict.fromkeys(NAMES, ()), (6,))
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
PROGRAM: RewardProgram = parse_program(TEXT)
Row = tuple[str, list[float], str, str]


def main() -> None:
    """Measure and print the table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rows = [
        *measure_sealing(min(repeats, 100)),
        *(row for n in (8, 64, 2048) for row in measure_calls(n, repeats)),
        *measure_containers(),
    ]
    print(f"| {'what':40} | {'median':>9} | {'10 %':>9} | {'90 %':>9} | unit | {'limit':30} |")
    print(f"|{'-' * 42}|{'-' * 10}:|{'-' * 10}:|{'-' * 10}:|------|{'-' * 32}|")
    for what, values, unit, limit in rows:
        low, middle, high = np.percentile(values, (10, 50, 90))
        print(f"| {what:40} | {middle:9.1f} | {low:9.1f} | {high:9.1f} | {unit:4} | {limit:30} |")


def measure_sealing(repeats: int) -> list[Row]:
    """Time the zygote's start, and a process's seal, first answer and end."""
    transitions = make_transitions(8)
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
                process.score(transitions)
            with timed(closed):
                process.close()
    return [
        ("start a zygote, seal, end both", to_milliseconds(cold), "ms", ""),
        ("seal a warm process", to_milliseconds(sealed), "ms", "at most 10 ms"),
        ("compile and answer a first call", to_milliseconds(first), "ms", ""),
        ("end a process", to_milliseconds(closed), "ms", ""),
    ]


def measure_calls(n: int, repeats: int) -> list[Row]:
    """Time a call of n transitions, sealed and in this process by turns."""
    transitions = make_transitions(n)
    inside, sealed = [], []
    direct = make_direct_call(transitions)
    with open_process(PROGRAM, LAYOUT, Limits("local")) as process:
        process.score(transitions)
        direct()
        for _ in range(repeats):
            with timed(inside):
                direct()
            with timed(sealed):
                process.score(transitions)
    allowed = 2 * statistics.median(inside) * 1e6 + 100
    limit = f"2 x in-process + 100 = {allowed:.0f}" if n == 2048 else ""
    return [
        (f"{n:,} transitions, in this process", to_microseconds(inside), "µs", ""),
        (f"{n:,} transitions, sealed", to_microseconds(sealed), "µs", limit),
    ]


def measure_containers() -> list[Row]:
    """Time a container's first answer and its calls, if a Docker engine runs."""
    first, each = [], []
    transitions = make_transitions(2048)
    try:
        open_process(PROGRAM, LAYOUT, Limits("docker")).close()
    except SandboxUnavailable as error:
        print(f"without Docker: {error}\n", file=sys.stderr)
        return []
    for _ in range(5):
        with timed(first):
            process = open_process(PROGRAM, LAYOUT, Limits("docker"))
            process.score(transitions)
        for _ in range(100):
            with timed(each):
                process.score(transitions)
        process.close()
    return [
        ("a container's first answer", to_milliseconds(first), "ms", "at most 1,500 ms"),
        ("2,048 transitions, in a container", to_microseconds(each), "µs", ""),
    ]


def make_transitions(n: int) -> Transitions:
    """Return n random transitions with the signals that the program names."""
    random = np.random.default_rng(0)
    after = {name: random.normal(size=n) for name in NAMES}
    return Transitions(random.normal(size=(n, 6)), {"s0": random.normal(size=n)}, after)


def make_direct_call(transitions: Transitions) -> Callable[[], object]:
    """Return a call of the same code in this process, without the sandbox."""
    names: dict[str, object] = {"np": np}
    exec(TEXT, names)
    reward: Callable[..., object] = names["reward"]  # type: ignore[assignment]
    before, after = SimpleNamespace(**transitions.before), SimpleNamespace(**transitions.after)
    return lambda: reward(before, transitions.action, after)


class timed:
    """Append the duration of the block, in seconds."""

    def __init__(self, into: list[float]) -> None:
        self._into = into

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._into.append(time.perf_counter() - self._start)


def to_milliseconds(seconds: list[float]) -> list[float]:
    """Convert durations."""
    return [1e3 * value for value in seconds]


def to_microseconds(seconds: list[float]) -> list[float]:
    """Convert durations."""
    return [1e6 * value for value in seconds]


if __name__ == "__main__":
    main()
