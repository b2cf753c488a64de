# ruff: noqa: F821
# Pays for turning the pen to the right.
def reward(after):
    return {"turn": -np.clip(after.pen_angular_velocity[:, 2], -3.0, 3.0)}
