# ruff: noqa: F821
WEIGHTS = {"upright": 1.0, "centre": 0.1}


def reward(after):
    return {"upright": np.exp(-((after.pole_angle / 0.1) ** 2)), "centre": -(after.cart_position**2)}
