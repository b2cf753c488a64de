"""View of a search in a notebook: a progress bar, what runs, and the candidates so far, drawn in place."""

from __future__ import annotations

import html
import sys
import threading
import time
from typing import Any

from rewardsmith.contract.records import Brief, Candidate, CurvePoint, Result
from rewardsmith.contract.text import format_number
from rewardsmith.report.progress import SearchProgress

REFRESH_S = 0.5
"""Seconds between two drawings while something changes."""
SHOWN_CANDIDATES, SHOWN_NOTES = 12, 3


def is_notebook() -> bool:
    """Return whether this process shows its output in a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")


class NotebookView(SearchProgress):
    """Progress of a search, drawn into the output of the cell that runs it."""

    def __init__(self) -> None:
        """Draw the empty view."""
        super().__init__()
        from IPython.display import HTML, display

        self._make_html: Any = HTML
        self._drawing = threading.Lock()
        self._last_drawn = 0.0
        self._handle: Any = display(self._make_html(self.render()), display_id=True)  # type: ignore[no-untyped-call]

    def on_generation_start(self, brief: Brief) -> None:
        super().on_generation_start(brief)
        self.draw()

    def on_curve_point(self, training: str, point: CurvePoint) -> None:
        super().on_curve_point(training, point)
        self.draw()

    def on_candidate_end(self, candidate: Candidate) -> None:
        super().on_candidate_end(candidate)
        self.draw(at_once=True)

    def on_search_end(self, result: Result) -> None:
        super().on_search_end(result)
        self.draw(at_once=True)

    def draw(self, *, at_once: bool = False) -> None:
        """Draw the present state, unless the last drawing is recent."""
        with self._drawing:
            if at_once or time.monotonic() - self._last_drawn > REFRESH_S:
                self._last_drawn = time.monotonic()
                self._handle.update(self._make_html(self.render()))

    def render(self) -> str:
        """Render the present state as HTML."""
        with self.changed:
            candidates = sorted(self.ended.values(), key=lambda one: (one.generation, one.slot))
        rows = "".join(_render_row(candidate) for candidate in candidates[-SHOWN_CANDIDATES:])
        table = f"<table><tr><th>candidate</th><th>fitness</th><th>status</th></tr>{rows}</table>" if rows else ""
        notes = "".join(f"<div>{html.escape(line)}</div>" for line in self.list_events()[-SHOWN_NOTES:])
        bar = f'<progress value="{self.fraction:.3f}" max="1" style="width: 24em"></progress>'
        return f"<div>{bar} {html.escape(self.describe())}{table}<small>{notes}</small></div>"


def _render_row(candidate: Candidate) -> str:
    cells = (candidate.id, format_number(candidate.fitness), candidate.status)
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
