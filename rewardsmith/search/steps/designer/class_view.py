"""The environment as a Python class whose attributes are the signals; `signal_table` shows it as a table instead.

The class is Text2Reward's view (arXiv 2309.11489): few words, spelled as the program will spell them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rewardsmith.contract.records import Signal
from rewardsmith.llm import prompts
from rewardsmith.search.steps.designer.signal_table import CHARS_PER_TOKEN


def render_class(signals: Sequence[Signal], card_signal_count: int, budget_tokens: int) -> str:
    """Render a class with the signals as attributes.

    >>> print(render_class([Signal("speed", (), "m/s", "Forward speed.", "obs[0]")], 1, 2000))
    class State:
        # What `before`, `after` and `start` are: n moments of the environment.
        speed: np.ndarray  # (n,), m/s: Forward speed.

    Args:
        signals: the catalogue, the card's signals first.
        card_signal_count: how many are the card's; they are always listed in full.
        budget_tokens: about how long the class may be.
    """
    lines = ["class State:", "    # What `before`, `after` and `start` are: n moments of the environment."]
    free_chars = budget_tokens * CHARS_PER_TOKEN
    for index, signal in enumerate(signals):
        comment = f"{_format_shape(signal.shape)}, {signal.unit}: {prompts.to_one_line(signal.meaning)}"
        line = f"    {signal.name}: np.ndarray  # {comment}"
        free_chars -= len(line) + 1
        if index >= card_signal_count and free_chars < 0:
            lines.append(f"    # and {len(signals) - index} more attributes, left out here")
            break
        lines.append(line)
    return "\n".join(lines)


def _format_shape(shape: tuple[int, ...]) -> str:
    """Return the shape of a signal over n transitions."""
    return f"(n, {', '.join(map(str, shape))})" if shape else "(n,)"
