# ruff: noqa: F821
WEIGHTS = {"near": 1.0, "there": 1.0}


def reward(after):
    return {"near": -after.target_distance, "there": np.exp(-((after.target_distance / 0.1) ** 2))}
