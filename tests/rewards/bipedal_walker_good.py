# ruff: noqa: F821
WEIGHTS = {"forward": 4.0, "level": 0.1, "effort": 0.03}


def reward(action, after):
    return {
        "forward": np.clip(after.x_velocity, -0.5, 1.0),
        "level": -np.abs(after.hull_angle),
        "effort": -np.sum(np.abs(action), axis=1),
    }
