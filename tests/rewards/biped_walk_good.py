# ruff: noqa: F821
WEIGHTS = {"speed": 1.5, "straight": 0.2, "upright": 0.5, "alive": 0.5, "effort": 0.02}


def reward(action, after):
    return {
        "speed": np.exp(-(((after.forward_velocity - 0.5) / 0.3) ** 2)),
        "straight": -np.abs(after.sideways_velocity) - np.abs(after.heading),
        "upright": after.upright,
        "alive": np.ones(len(action)),
        "effort": -np.sum(action**2, axis=1),
    }
