# /// reward
# task = "Walk forward as far as you can without falling."
# env_id = "Walker2d-v5"
# fitness = "x_position[-1] - start.x_position"
# ///

WEIGHTS = {"forward": 1.0, "upright": 1.0, "effort": 0.001}


def reward(action, after):
    # A step upright is worth about as much as a metre per second, so that falling fast does not pay.
    standing = (after.torso_height > 0.8) & (np.abs(after.torso_pitch) < 1.0)
    return {
        "forward": after.x_velocity,
        "upright": np.where(standing, 1.0, 0.0),
        "effort": -np.sum(action**2, axis=1),
    }
