# ruff: noqa: F821
# Pays for letting the pole fall.
WEIGHTS = {"lean": 1.0}


def reward(after):
    return {"lean": np.abs(after.pole_angle) - 0.2}
