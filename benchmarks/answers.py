"""The time to parse a model's answer: typical answers, and answers that are made to take long.

    python benchmarks/answers.py [REPEATS]

Typical answers are those of the ledgers in `benchmarks/ledgers`. Parsing an answer is compared with parsing its program
with `ast`, which every parser has to do; both take turns, and the numbers are medians of the CPU time. A hostile answer
has 100 kB, and its program, if any, at the end.
"""

from __future__ import annotations

import ast
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from throughput import describe_machine

from rewardsmith.search.steps.designer.answer_parser import parse_answer

LEDGERS = Path(__file__).parent / "ledgers"
HOSTILE_CHARS = 100_000
PROGRAM = '\n```python\nWEIGHTS = {"v": 1.0}\n\ndef reward(after):\n    return {"v": after.v}\n```\n'
HOSTILE_UNITS = (
    *("`", "```\n", "```python\n", '```python\n"""\n', "~~~\n", "<think>", "</think>", "<think>a</think>"),
    *("<think><|channel|>analysis<|message|>", "\n", "    \n", "<", "> ", "'", '"', "def reward(after):\n"),
    *("WEIGHTS = {", "x = 1\n", "```\n<think>", "{"),
)


def main() -> None:
    """Print both tables."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(describe_machine())

    # Typical answers, next to parsing their programs.
    reading: list[float] = []
    parsing: list[float] = []
    sizes: list[int] = []
    for text, functions in read_answers():
        source = parse_answer(text, functions=functions).source
        if source is None:
            continue
        sizes.append(len(text))
        for _ in range(repeats):
            reading.append(measure(lambda text=text, functions=functions: parse_answer(text, functions=functions)))
            parsing.append(measure(lambda source=source: ast.parse(source)))
    read_ms, parse_ms = 1e3 * statistics.median(reading), 1e3 * statistics.median(parsing)
    print(f"{len(sizes)} answers, median {statistics.median(sizes):,.0f} characters: {read_ms:.2f} ms")
    print(f"ast.parse of the program alone: {parse_ms:.2f} ms; ratio {read_ms / parse_ms:.2f}")

    # Hostile answers.
    for unit in HOSTILE_UNITS:
        text = (unit * HOSTILE_CHARS)[:HOSTILE_CHARS] + PROGRAM
        times = [measure(lambda text=text: parse_answer(text)) for _ in range(repeats)]
        print(f"{unit!r:45} {1e3 * statistics.median(times):6.1f} ms")


def read_answers() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the designer's answers of the ledgers, with the functions that they had to define."""
    for ledger in sorted(LEDGERS.glob("*/*.jsonl")):
        functions = ("sparse", "dense") if ledger.stem == "auto-mc-reward" else ("reward",)
        for line in ledger.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["role"].startswith("designer"):
                yield entry["answer"]["text"] if "answer" in entry else entry["text"], functions


def measure(call: Callable[[], object]) -> float:
    """Return the CPU time of a call in seconds."""
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    main()
