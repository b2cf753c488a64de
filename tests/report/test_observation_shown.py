"""What the policy sees stands in the result, in its summary and in the report."""

from __future__ import annotations

from dataclasses import replace

from fakes.played_runs import make_finished_run, write_program

from rewardsmith.contract import records
from rewardsmith.report.html import write_report
from rewardsmith.report.result_lines import summarize_result

DECLARED = f'OBSERVATION = ["height", "speed"]\n{write_program(up=2.0)}'


def test_the_observation_of_the_best_program_is_shown(tmp_path):
    run = make_finished_run(tmp_path / "run", [[DECLARED, write_program(up=1.0)]])
    result = run.read_result()
    assert result is not None and result.observation == ("height", "speed")
    assert "the policy observes: height, speed" in summarize_result(result)
    page = write_report(run).read_text(encoding="utf-8")
    assert "Its policies observe: <code>height</code>, <code>speed</code>." in page


def test_the_setting_is_shown_where_the_program_declares_nothing(tmp_path):
    run = make_finished_run(tmp_path / "run", training={"observation": ["speed"]})
    result = run.read_result()
    assert result is not None and result.observation == ("speed",)


def test_nothing_is_said_of_the_environment_s_own_observation(tmp_path):
    run = make_finished_run(tmp_path / "run")
    result = run.read_result()
    assert result is not None and result.observation == ()
    assert not [line for line in summarize_result(result) if "observes" in line]
    page = write_report(run).read_text(encoding="utf-8")
    assert "Its policies observe: the environment\u2019s own observation." in page
    # Results of earlier versions lack the field.
    dumped = records.dump(replace(result, observation=("height",)))
    del dumped["observation"]
    assert records.load(records.Result, dumped).observation == ()
