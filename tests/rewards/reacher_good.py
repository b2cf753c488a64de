# ruff: noqa: F821
WEIGHTS = {"near": 1.0, "there": 0.2, "effort": 0.1}


def reward(action, after):
    return {
        "near": -after.target_distance,
        "there": np.exp(-((after.target_distance / 0.03) ** 2)),
        "effort": -np.sum(action**2, axis=1),
    }
