# ruff: noqa: F821
# Pays for lying still.
WEIGHTS = {"still": 1.0}


def reward(after):
    return {"still": -np.sum(after.joint_velocities**2, axis=1)}
