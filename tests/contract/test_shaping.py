"""The shaping functions: shapes, limits and refused arguments."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from rewardsmith.contract import shaping

SIGMOIDS = ("gaussian", "hyperbolic", "long_tail", "reciprocal", "cosine", "linear", "quadratic", "tanh_squared")


@pytest.mark.parametrize("sigmoid", SIGMOIDS)
def test_tolerance_is_one_inside_and_the_given_value_at_the_margin(sigmoid: str):
    values = shaping.tolerance([1.0, 1.5, 2.0, 5.0, -2.0], (1.0, 2.0), 3.0, sigmoid, value_at_margin=0.25)
    np.testing.assert_allclose(values, [1.0, 1.0, 1.0, 0.25, 0.25], atol=1e-12)


@pytest.mark.parametrize("sigmoid", SIGMOIDS)
def test_tolerance_falls_without_a_rise_and_stays_in_range(sigmoid: str):
    values = shaping.tolerance(np.linspace(0.0, 1e4, 20_001), margin=1.0, sigmoid=sigmoid)
    assert np.all(np.diff(values) <= 0.0)
    assert values[0] == 1.0
    assert np.all((values >= 0.0) & (values <= 1.0))


@pytest.mark.parametrize("sigmoid", ["cosine", "linear", "quadratic"])
def test_shapes_that_reach_zero_may_do_so_at_the_margin(sigmoid: str):
    assert shaping.tolerance([1.0], margin=1.0, sigmoid=sigmoid, value_at_margin=0.0) == pytest.approx(0.0)


def test_an_infinite_bound_is_open():
    np.testing.assert_array_equal(shaping.tolerance([1e9, 1.0], (2.0, np.inf)), [1.0, 0.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bounds": (1.0, 0.0)}, "lower <= upper"),
        ({"bounds": (0.0, np.nan)}, "lower <= upper"),
        ({"margin": -1.0}, "margin"),
        ({"margin": 1.0, "sigmoid": "bell"}, "no sigmoid 'bell'"),
        ({"margin": 1.0, "value_at_margin": 0.0}, "value_at_margin"),
        ({"margin": 1.0, "value_at_margin": 1.0}, "value_at_margin"),
    ],
)
def test_tolerance_refuses_what_has_no_meaning(arguments, message):
    with pytest.raises(ValueError, match=message):
        shaping.tolerance([0.5], **arguments)


def test_a_smooth_step_is_flat_at_both_ends():
    step = shaping.smooth_step([-1.0, 0.0, 1e-4, 1.0, 2.0 - 1e-4, 2.0, 3.0], 0.0, 2.0)
    np.testing.assert_allclose(step, [0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0], atol=1e-7)


def test_a_smooth_step_needs_its_ends_in_order():
    with pytest.raises(ValueError, match="below"):
        shaping.smooth_step([0.0], 1.0, 1.0)


def test_potential_differences_along_an_episode_telescope():
    rng, gamma = np.random.default_rng(0), 0.9
    phi = rng.normal(size=11)
    shaped = shaping.potential(phi[:-1], phi[1:], gamma)
    assert np.sum(gamma ** np.arange(10) * shaped) == pytest.approx(gamma**10 * phi[-1] - phi[0])


def test_distance_takes_one_target_for_all():
    np.testing.assert_allclose(shaping.distance([[3.0, 4.0], [0.0, 2.0]], [0.0, 0.0]), [5.0, 2.0])


def test_wrapped_angles_keep_their_direction():
    angles = np.linspace(-20.0, 20.0, 401)
    wrapped = shaping.wrap_angle(angles)
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * angles), atol=1e-12)
    assert np.all((wrapped >= -np.pi) & (wrapped <= np.pi))


def test_the_module_imports_nothing_but_numpy():
    tree = ast.parse(Path(shaping.__file__).read_text(encoding="utf-8"))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert {str(name).split(".")[0] for name in imported} == {"__future__", "numpy"}


def test_a_clipped_value_pays_nothing_beyond_its_threshold():
    np.testing.assert_allclose(shaping.clip_surplus([-1.0, 0.9, 1.0, 50.0], 1.0), [-2.0, -0.1, 0.0, 0.0])


def test_deltas_of_an_episode_add_up_to_its_net_gain_however_often_a_step_is_repeated():
    short, long = np.array([0.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    assert shaping.delta(short[:-1], short[1:]).sum() == shaping.delta(long[:-1], long[1:]).sum() == 1.0


def test_a_kinesthetic_combination_is_the_papers_formula():
    components = np.random.default_rng(0).normal(size=(3, 500))
    for column, combined in zip(components.T, shaping.kinesthetic(list(components)), strict=True):
        sign = 1.0 if all(one >= 0.0 for one in column) else -1.0
        assert combined == pytest.approx(sign * float(abs(column[0] * column[1] * column[2])) ** (1.0 / 3.0))


def test_a_kinesthetic_combination_takes_numbers_beside_arrays_and_is_zero_where_one_component_is():
    np.testing.assert_allclose(shaping.kinesthetic([np.array([0.0, 2.0, -2.0]), 8.0]), [0.0, 4.0, -4.0], atol=1e-12)


def test_a_kinesthetic_combination_needs_a_component():
    with pytest.raises(ValueError, match="at least one component"):
        shaping.kinesthetic([])
