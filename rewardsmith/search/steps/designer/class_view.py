"""The environment as a Python class whose attributes are the signals: the other way to show it is their table.

It is Text2Reward's way (arXiv 2309.11489): few words, and spelled as the program will spell it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rewardsmith.contract.records import Signal
from rewardsmith.llm import prompts
from rewardsmith.search.steps.designer.signal_table import CHARS_PER_TOKEN


def python_class(signals: Sequence[Signal], named: int, budget_tokens: int) -> str:
    """Return a class with the signals as attributes.

    >>> print(python_class([Signal("speed", (), "m/s", "Forward speed.", "obs[0]")], 1, 2000))
    class State:
        # What `before`, `after` and `start` are: n moments of the environment.
        speed: np.ndarray  # (n,), m/s: Forward speed.

    Args:
        signals: the catalogue, the card's signals first.
        named: how many are the card's; they are listed in full, whatever they take.
        budget_tokens: about how long the class may be.
    """
    lines = ["class State:", "    # What `before`, `after` and `start` are: n moments of the environment."]
    free = budget_tokens * CHARS_PER_TOKEN
    shown = 0
    for signal in signals:
        about = f"{_batch(signal.shape)}, {signal.unit}: {prompts.one_line(signal.meaning)}"
        line = f"    {signal.name}: np.ndarray  # {about}"
        free -= len(line) + 1
        if shown >= named and free < 0:
            lines.append(f"    # and {len(signals) - shown} more attributes, left out here")
            break
        lines.append(line)
        shown += 1
    return "\n".join(lines)


def _batch(shape: tuple[int, ...]) -> str:
    return f"(n, {', '.join(map(str, shape))})" if shape else "(n,)"
