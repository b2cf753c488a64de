# ruff: noqa: F821
WEIGHTS = {"near": 1.0, "there": 1.0, "effort": 0.01}


def reward(action, after):
    return {
        "near": -after.target_distance,
        "there": np.exp(-((after.target_distance / 0.05) ** 2)),
        "effort": -np.sum(action**2, axis=1),
    }
