# ruff: noqa: F821
WEIGHTS = {"upright": 1.0, "centre": 0.2}


def reward(after):
    upright = np.exp(-((after.pole_angle / 0.1) ** 2))
    return {"upright": upright, "centre": np.exp(-((after.cart_position / 1.0) ** 2))}
