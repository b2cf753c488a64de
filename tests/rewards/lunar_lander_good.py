# ruff: noqa: F821
WEIGHTS = {"near": 10.0, "slow": 10.0, "upright": 10.0, "legs": 1.0, "rest": 5.0, "engine": 0.03}


def length(vector):
    return np.sqrt(np.sum(vector**2, axis=1))


def reward(before, action, after):
    legs = after.left_leg_contact + after.right_leg_contact
    still = (legs > 1.5) & (length(after.velocity) < 0.01)
    return {
        "near": length(before.position) - length(after.position),
        "slow": length(before.velocity) - length(after.velocity),
        "upright": np.abs(before.angle) - np.abs(after.angle),
        "legs": legs - before.left_leg_contact - before.right_leg_contact,
        "rest": np.where(still, 1.0, 0.0),
        "engine": -np.where(action[:, 0] == 2, 1.0, 0.0),
    }
