# ruff: noqa: F821
WEIGHTS = {"forward": 1.0, "alive": 1.0}


def reward(after):
    return {"forward": after.x_velocity, "alive": np.ones(len(after.x_velocity))}
