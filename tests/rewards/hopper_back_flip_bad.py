# ruff: noqa: F821
# Pays for standing upright.
WEIGHTS = {"upright": 1.0}


def reward(after):
    return {"upright": np.exp(-((after.torso_pitch / 0.2) ** 2))}
