"""Charts: labels of curves that end close together stay apart and inside, and a wide page gets a wide chart."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rewardsmith.report.charts.line_chart import (
    BROAD,
    LETTER_WIDTH,
    SMALL,
    TOP_MARGIN,
    ChartLine,
    layout_chart,
    layout_charts,
    spread_labels,
)


@pytest.mark.parametrize("size", [SMALL, BROAD])
def test_labels_of_curves_that_end_together_do_not_overprint(size):
    lines = [ChartLine(f"g0c0{at}", ((0.0, 0.0), (9.0, 1.0 + at / 1000)), best=at == 3) for at in range(7)]
    lines.append(ChartLine("far", ((0.0, 0.0), (9.0, -5.0))))
    drawn = layout_chart(lines, size=size)
    assert drawn is not None
    heights = sorted(path.label_y for path in drawn.paths if path.label_y is not None)
    assert len(heights) == len(lines)
    assert all(below - above >= size.pitch - 0.2 for above, below in pairwise(heights))
    assert heights[0] >= TOP_MARGIN
    assert heights[-1] <= size.height - size.bottom


def test_labels_keep_the_order_of_their_curves_and_move_no_more_than_needed():
    placed = spread_labels({1: 100.0, 2: 101.0, 3: 102.0, 4: 200.0}, 14.0, 0.0, 300.0)
    assert placed == {1: 87.0, 2: 101.0, 3: 115.0, 4: 200.0}
    assert spread_labels({1: 299.0, 2: 300.0}, 14.0, 0.0, 300.0) == {1: 286.0, 2: 300.0}


def test_where_too_many_end_together_the_important_ones_keep_their_labels():
    lines = [ChartLine(f"c{at}", ((0.0, 0.0), (9.0, 1.0)), best=at == 30) for at in range(40)]
    drawn = layout_chart(lines)
    assert drawn is not None
    assert [path.line.name for path in drawn.paths if path.label_y is not None] == ["c30"]


def test_a_page_gets_a_wide_picture_and_a_narrow_one_that_leave_no_more_room_than_their_labels_take():
    wide, narrow = layout_charts([ChartLine("this program", ((0.0, 0.0), (9.0, 1.0)))])
    assert (wide.size, narrow.size) == (BROAD, SMALL)
    assert wide.size.width - wide.right < 0.12 * wide.size.width
    assert narrow.size.width - narrow.label_x >= len("this program") * LETTER_WIDTH
    assert layout_charts([]) == ()
