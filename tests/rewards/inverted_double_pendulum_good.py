# ruff: noqa: F821
WEIGHTS = {"balanced": 1.0, "high": 1.0, "middle": 0.01}


def reward(after):
    return {
        "balanced": np.where(after.tip_height > 1.0, 1.0, 0.0),
        "high": -((after.tip_height - 1.2) ** 2),
        "middle": -(after.tip_x**2),
    }
