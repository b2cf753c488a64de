# ruff: noqa: F821
# Pays for standing still.
def reward(action, after):
    return {"still": -np.abs(after.x_velocity), "effort": -np.sum(action**2, axis=1)}
