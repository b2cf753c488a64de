# ruff: noqa: F821
# Pays for turning to the right.
def reward(after):
    return {"turn": -np.clip(after.yaw_rate, -2.0, 2.0)}
