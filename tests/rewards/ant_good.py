# ruff: noqa: F821
WEIGHTS = {"forward": 1.0, "standing": 0.5, "effort": 0.1}


def reward(before, action, after):
    standing = (after.torso_height > 0.25) & (after.torso_height < 0.95)
    return {
        "forward": np.clip((after.x_position - before.x_position) / 0.05, -2.0, 4.0),
        "standing": np.where(standing, 1.0, 0.0),
        "effort": -np.sum(action**2, axis=1),
    }
