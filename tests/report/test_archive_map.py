"""The picture of the archive: a field for each cell, ticks at the ends of the ranges, a row for each filled cell."""

from __future__ import annotations

from dataclasses import replace

from fakes.studio_case import make_candidate, make_run, save_candidate

from rewardsmith.contract.records import BehaviourDescriptor, Candidate
from rewardsmith.report import html
from rewardsmith.report.charts import archive_map
from rewardsmith.report.charts.archive_map import layout_archive

X = BehaviourDescriptor("x", "mean(x)", 0.0, 3.0, 3)
Y = BehaviourDescriptor("y", "mean(y)", -1.0, 1.0, 2)


def behaving(id: str, fitness: float, x: float, y: float) -> Candidate:
    one = make_candidate(id, fitness)
    (evaluation,) = one.evaluations
    return replace(one, evaluations=(replace(evaluation, metrics={"x": x, "y": y}),))


HISTORY = [behaving("g0c00", 1.0, 0.5, -0.5), behaving("g0c01", 5.0, 2.5, 0.5), behaving("g1c00", 3.0, 1.5, 0.5)]


def test_two_descriptors_give_a_field_for_each_cell_with_the_second_going_up():
    drawn = layout_archive((X, Y), HISTORY, random=1.0)
    assert drawn is not None
    assert len(drawn.fields) == drawn.size == 6
    fields = {field.candidate: field for field in drawn.fields if field.candidate}
    assert fields["g0c00"].x < fields["g1c00"].x < fields["g0c01"].x
    assert fields["g0c00"].y > fields["g0c01"].y
    assert (fields["g0c00"].shade, fields["g0c01"].shade) == (archive_map.MIN_SHADE, 1.0)
    assert fields["g0c01"].title == "x 2 to 3, y 0 to 1: g0c01, fitness 5"
    assert sum(field.title.endswith(": empty") for field in drawn.fields) == 3
    assert [tick.text for tick in drawn.x_ticks] == ["0", "1", "2", "3"]
    assert [tick.text for tick in drawn.y_ticks] == ["-1", "0", "1"]
    assert drawn.y_ticks[0].at > drawn.y_ticks[-1].at


def test_the_rows_are_the_filled_cells_fittest_first_with_their_policies():
    drawn = layout_archive((X, Y), HISTORY, random=1.0)
    assert drawn is not None
    assert [row.elite.candidate for row in drawn.rows] == ["g0c01", "g1c00", "g0c00"]
    assert drawn.rows[0].ranges == ("2 to 3", "0 to 1")
    assert drawn.rows[0].policy == "candidates/g0c01/train-s0"
    assert (drawn.coverage, drawn.qd_score) == (0.5, 4.0 + 2.0)


def test_one_descriptor_is_one_row_and_many_parts_have_no_text_and_few_ticks():
    drawn = layout_archive((replace(X, bins=50),), HISTORY, random=None)
    assert drawn is not None
    assert len({field.y for field in drawn.fields}) == 1
    assert len(drawn.fields) == 50
    assert not any(field.fitness for field in drawn.fields)
    assert len(drawn.x_ticks) <= archive_map.MAX_TICKS + 1
    assert (drawn.y_ticks, drawn.qd_score) == ((), None)


def test_there_is_no_picture_without_descriptors_or_before_anything_was_measured():
    assert layout_archive((), HISTORY, None) is None
    assert layout_archive((X,), [], None) is None
    assert layout_archive((X,), [make_candidate("g0c00", 1.0)], None) is None


def test_the_report_draws_the_archive_of_a_search_with_descriptors_and_of_no_other(tmp_path):
    run = make_run(tmp_path / "run")
    for one in HISTORY:
        save_candidate(run, one)
    assert "Archive of behaviours" not in html.write_report(run).read_text()
    run.write_task(replace(run.task, behaviour=(X, replace(Y, name="<b>y"))))
    for one in HISTORY:
        evaluation = one.evaluations[0]
        metrics = {"x": evaluation.metrics["x"], "<b>y": evaluation.metrics["y"]}
        save_candidate(run, replace(one, evaluations=(replace(evaluation, metrics=metrics),)))
    page = html.write_report(run).read_text()
    section = page.partition("Archive of behaviours")[2].partition("</section>")[0]
    assert "3 of 6 cells filled (50 %)" in section and "QD score" not in section
    assert 'href="./candidates/g0c01"' in section and 'href="./candidates/g0c01/train-s0"' in section
    assert "&lt;b&gt;y" in section and "<b>y" not in page
