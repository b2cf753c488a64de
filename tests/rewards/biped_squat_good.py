# ruff: noqa: F821
WEIGHTS = {"squat": 1.0, "upright": 0.5, "still": 0.02, "effort": 0.01}


def reward(action, after):
    return {
        "squat": np.exp(-(((after.height - 0.6) / 0.1) ** 2)),
        "upright": after.upright,
        "still": -np.sum(after.angular_velocity**2, axis=1),
        "effort": -np.sum(action**2, axis=1),
    }
