# ruff: noqa: F821
WEIGHTS = {"forward": 1.0, "effort": 0.05}


def reward(action, after):
    return {"forward": after.x_velocity, "effort": -np.sum(action**2, axis=1)}
