"""Charts of the pages, shared by the studio and the reports: layouts in Python, drawn by one template.

line_chart     learning curves and other lines        lineage        the graph of parents and children
forest_plot    means with their intervals             code_listing   a program as coloured lines
heat_map       a value for each cell of a grid
archive_map    the archive of behaviours as a heat map

templates/_drawn.html draws them as SVG; static/look.css styles them.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rewardsmith.contract.text import format_number, pluralize
from rewardsmith.report.text import format_duration, replace_control_chars

HERE = Path(__file__).parent
STATIC = HERE / "static"


def make_environment(templates: Path) -> Environment:
    """Make a Jinja environment for pages with charts: it escapes everything, and an undefined name is an error.

    Args:
        templates: the folder of the page's templates; `_drawn.html` is added to it.
    """
    environment = Environment(
        loader=FileSystemLoader([templates, HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        figure=format_number, plain=replace_control_chars, duration=format_duration, counted=pluralize
    )
    return environment
