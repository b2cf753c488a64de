# ruff: noqa: F821
# Pays for leaning over: the robot falls at once.
WEIGHTS = {"lean": 1.0, "low": 1.0}


def reward(after):
    return {"lean": np.abs(after.torso_pitch), "low": -after.torso_height}
