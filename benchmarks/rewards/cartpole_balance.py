"""The pole upright and the cart in the middle, for lab_cartpole_balance."""

WEIGHTS = {"upright": 1.0, "centre": 0.3, "still": 0.05, "effort": 0.05}


def reward(before, action, after):
    return {
        "upright": shaping.tolerance(after.pole_upright, (0.95, 1.0), margin=1.0),
        "centre": np.exp(-(after.cart_position**2)),
        "still": -np.minimum(after.pole_angular_velocity**2, 25.0),
        "effort": -np.minimum(action[:, 0] ** 2, 4.0),
    }
