from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.paths import CHECKOUT

from rewardsmith.api.searches import SearchPlan
from rewardsmith.api.sweep import SweepFile, build_matrix, load_sweep_file
from rewardsmith.api.sweep.matrix import SweepMatrix, build_cells, dump_identity, find_tasks
from rewardsmith.api.sweep.sweep_file import apply_scale
from rewardsmith.contract.errors import ConfigError, SweepError
from rewardsmith.contract.records import EnvSpec, Metric, Signal
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task, load_task


def matrix(**content: object) -> SweepMatrix:
    return build_matrix(SweepFile.model_validate({"presets": ["symbolic"], **content}), variables={})


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_there_is_a_cell_for_every_task_preset_and_seed() -> None:
    found = matrix(tasks=["hopper", "swimmer"], seeds=3)
    assert [(cell.task.name, cell.preset, cell.seed) for cell in found.cells] == [
        (task, "symbolic", seed) for task in ("hopper", "swimmer") for seed in (0, 1, 2)
    ]
    assert [cell.config.search.seed for cell in found.cells] == [0, 1, 2, 0, 1, 2]
    assert len({cell.id for cell in found.cells}) == 6


def test_globs_name_cards_by_name_and_by_family_and_leave_out() -> None:
    assert find_tasks(["gymnasium_mujoco/hopper*", "!*flip*"]) == ("hopper", "hopper_hop_in_place")
    assert "cartpole" in find_tasks(["classic_control/*"])
    assert find_tasks(["Swimmer-v5"]) == ("Swimmer-v5",)
    with pytest.raises(SweepError, match=r"'hoppper.' matches no task"):
        find_tasks(["hoppper*"])
    with pytest.raises(SweepError, match="nothing is left"):
        find_tasks(["hopper", "!hop*"])


def test_a_setting_that_changes_the_result_makes_another_cell_and_one_that_does_not_keeps_it() -> None:
    plain = matrix(tasks=["hopper"]).cells[0].id
    assert matrix(tasks=["hopper"], settings={"jobs": 1, "limits": {"job_s": 60}}).cells[0].id == plain
    assert matrix(tasks=["hopper"], settings={"search": {"population": 3}}).cells[0].id != plain


def test_settings_of_some_tasks_go_over_those_of_all() -> None:
    found = matrix(
        tasks=["hopper", "swimmer"],
        settings={"search": {"population": 3, "env_steps": 1000}},
        per_task={"hop*": {"fitness": "survived", "text": "Stay up", "settings": {"search": {"env_steps": 2000}}}},
    )
    hopper, swimmer = found.cells
    assert (hopper.task.fitness, hopper.task.text) == ("survived", "Stay up")
    assert (hopper.config.search.env_steps, swimmer.config.search.env_steps) == (2000, 1000)
    assert hopper.config.search.population == 3


def test_a_scale_changes_what_it_names_and_nothing_else() -> None:
    sweep = SweepFile.model_validate(
        {
            "tasks": ["hopper", "swimmer"],
            "presets": ["symbolic"],
            "seeds": 5,
            "settings": {"search": {"population": 8}},
            "per_task": {"hopper": {"settings": {"search": {"env_steps": 9000}}}},
            "scales": {"laptop": {"seeds": 2, "settings": {"search": {"env_steps": 1000}}}},
        }
    )
    cells = build_matrix(apply_scale(sweep, "laptop"), variables={}).cells
    assert len(cells) == 4
    assert {(cell.config.search.population, cell.config.search.env_steps) for cell in cells} == {(8, 1000)}
    with pytest.raises(SweepError, match="no scale 'laptpo'; it has laptop"):
        apply_scale(sweep, "laptpo")


def test_a_model_makes_cells_of_its_own_where_one_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    found = matrix(tasks=["hopper"], presets=["symbolic", "smith"], models=["a", "b"])
    assert [cell.preset for cell in found.cells] == ["symbolic", "smith (a)", "smith (b)"]
    assert found.cells[1].config.llm.model == "a"
    assert (found.cells[0].calls, found.cells[1].calls) == (0, 6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('tasks = ["hopper"]\nsedes = 3\n', ":2: there is no key 'sedes'; did you mean 'seeds'"),
        (
            'tasks = ["hopper"]\n[settings.search]\npopulatoin = 3\n',
            ":3: there is no setting 'search.populatoin'; did you",
        ),
        ('tasks = ["hopper"]\n[scales.big]\nseed = 3\n', ":3: there is no key 'scales.big.seed'; did you mean 'seeds'"),
        ('tasks = ["hopper"]\n[scales.big.settings.search]\nenv_steps = 0\n', ":3: search.env_steps = 0"),
        ("tasks = []\n", ":1: tasks = []"),
        ("seeds = 3\n", "the key 'tasks' is missing"),
        ("tasks = [", "mine.toml: "),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises((SweepError, ConfigError)) as error:
        load_sweep_file(written(tmp_path, text))
    assert str(error.value).startswith(str(tmp_path / "mine.toml"))
    assert says in str(error.value)


def test_cells_that_cannot_run_are_named_with_the_reason_and_the_others_are_kept() -> None:
    found = matrix(tasks=["hopper", "pick_cube"], seeds=2)
    assert [cell.task.name for cell in found.cells] == ["hopper", "hopper"]
    (refusal,) = found.refused
    assert (refusal.task, refusal.cells) == ("pick_cube", 2)
    assert "rewardsmith[maniskill]" in refusal.cause


def test_a_preset_that_asks_a_model_without_one_cannot_run() -> None:
    found = matrix(tasks=["hopper"], presets=["smith", "eureka"], settings={"search": {"designer": "llm"}})
    assert [refusal.preset for refusal in found.refused] == ["smith", "eureka"]


def test_a_sweep_waits_for_nobody() -> None:
    (refusal,) = matrix(tasks=["hopper"], settings={"feedback": {"rank": "people"}}).refused
    assert "a sweep waits for nobody" in refusal.cause


BENCHMARKS = sorted((CHECKOUT / "benchmarks").glob("*.toml"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("scale", [None, "laptop"])
def test_the_sweeps_of_the_benchmarks_lay_out(path: Path, scale: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    sweep = apply_scale(load_sweep_file(path), scale).model_copy(update={"models": ("some-model",)})
    found = build_matrix(sweep, variables={})
    assert found.cells or found.refused
    assert [refusal for refusal in found.refused if "rewardsmith[" not in refusal.cause] == []


HOPPER = load_task(None, "hopper")


def ids(monkeypatch: pytest.MonkeyPatch, task: Task) -> list[str]:
    """Return the ids of the cells of a task whose card is as given."""
    monkeypatch.setattr("rewardsmith.api.planning.load_task", lambda *_: task)
    return [cell.id for cell in matrix(tasks=["hopper"], seeds=2).cells]


def test_a_metric_makes_another_cell_and_its_words_and_the_anchors_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, fell = ids(monkeypatch, HOPPER), Metric("fell", "1 - survived", "share of falls")
    assert plain == ids(monkeypatch, replace(HOPPER, anchors=()))
    beside = ids(monkeypatch, replace(HOPPER, metrics=(fell,)))
    assert not {*plain} & {*beside}
    assert beside == ids(monkeypatch, replace(HOPPER, metrics=(replace(fell, meaning="falls"),)))
    assert not {*beside} & {*ids(monkeypatch, replace(HOPPER, metrics=(replace(fell, expression="length"),)))}


def test_cells_have_the_ids_that_earlier_versions_gave_them() -> None:
    task = Task(
        name="rise",
        text="Rise",
        env=EnvSpec(
            "Thing-v0",
            signals=(Signal("height", (), "m", "height", "obs[0]"),),
            privileged_signals=(Signal("won", (), "1", "success", "info.won"),),
        ),
        env_about="A thing.",
        action="One number.",
        fitness="sum(environment_reward) + any(won)",
        metrics=(Metric("top", "max(height)", "the top"),),
    )
    sizes = {"population": 4, "generations": 3, "final_seeds": 3}  # their defaults
    plan = SearchPlan(task, resolve_config({"search": {"designer": "symbolic", **sizes}}), 0, 0, 0)
    earlier_name = replace(plan, task=replace(task, fitness="sum(own_reward) + any(won)"))
    for same in (plan, earlier_name):
        assert [cell.id for cell in build_cells(same, "symbolic", None, [0])] == ["rise-symbolic-s0-7d938168"]
    assert "figures" not in dump_identity(replace(task, metrics=()))


def test_a_sweep_gives_arguments_and_variables_to_the_environments_that_match() -> None:
    options = {"env_kwargs": {"frame_skip": 2}, "pass_env": ["MINE_HOME"]}
    found = build_matrix(
        SweepFile.model_validate(
            {"presets": ["symbolic"], "tasks": ["hopper", "swimmer"], "per_task": {"hop*": options}}
        ),
        variables={"MINE_HOME": "/opt"},
    )
    hopper, swimmer = found.cells
    assert (hopper.task.env.kwargs["frame_skip"], hopper.task.env.pass_env) == (2, ("MINE_HOME",))
    assert (swimmer.task.env.kwargs, swimmer.task.env.pass_env) == ({}, ())
    assert matrix(tasks=["hopper"]).cells[0].id != hopper.id
    [refused] = matrix(tasks=["hopper"], per_task={"hop*": {"pass_env": ["MY_TOKEN"]}}).refused
    assert "MY_TOKEN looks like a key" in refused.cause


def test_a_sweep_can_leave_the_stages_of_a_card_out() -> None:
    alone = {"hopper_back_flip_land": {"stages": False}}
    (with_stages,) = matrix(tasks=["hopper_back_flip_land"]).cells
    (without,) = matrix(tasks=["hopper_back_flip_land"], per_task=alone).cells
    assert (len(with_stages.task.stages), without.task.stages) == (1, ())
    assert without.id != with_stages.id
    assert replace(without.task, stages=with_stages.task.stages) == with_stages.task
