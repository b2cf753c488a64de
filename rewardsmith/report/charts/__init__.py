"""What pages are drawn with, the studio's and the reports': learning curves, lineage, programs, and how they look.

curves    where the lines of a chart lie           lineage   where the nodes of a family tree lie
forest    where the marks of intervals lie         listing   a program as coloured lines

templates/_drawn.html draws them; static/look.css says how they look
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rewardsmith.contract.text import counted
from rewardsmith.report.text import duration, figure, plain

HERE = Path(__file__).parent
STATIC = HERE / "static"


def environment(templates: Path) -> Environment:
    """Return templates that draw: everything in them is escaped, and an undefined name is an error.

    Args:
        templates: a folder of them; `_drawn.html` is there for each.
    """
    found = Environment(
        loader=FileSystemLoader([templates, HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(figure=figure, plain=plain, duration=duration, counted=counted)
    return found
