# ruff: noqa: F821
# Turning pays in the air until three quarters of a turn are done; from there on, standing upright after one whole turn.
WEIGHTS = {"spin": 1.0, "jump": 0.3, "stand": 10.0, "calm": 0.1, "effort": 0.001}


def reward(before, action, after, start):
    turns = (start.torso_pitch - after.torso_pitch) / (2.0 * np.pi)
    is_turning = turns < 0.75
    air = np.where((after.ground_force < 1.0) & (before.ground_force < 1.0), 1.0, 0.0)
    rate = np.clip((before.torso_pitch - after.torso_pitch) / 0.008, -20.0, 20.0)
    whole_turn = np.exp(-(((turns - 1.0) / 0.15) ** 2))
    high = np.clip((after.torso_height - 0.3) / 0.8, 0.0, 1.0)
    return {
        "spin": np.where(is_turning, air * rate, 0.0),
        "jump": np.where(is_turning, air * np.clip(after.torso_height, 0.0, 2.5), 0.0),
        "stand": np.where(is_turning, 0.0, whole_turn * high),
        "calm": np.where(is_turning, 0.0, -np.abs(rate)),
        "effort": -np.sum(action**2, axis=1),
    }
