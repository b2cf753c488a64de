WEIGHTS = {"up": 1.0, "calm": 0.1, "effort": 0.001}


def reward(action, after):
    return {"up": -(after.angle**2), "calm": -(after.angular_velocity**2), "effort": -(action[:, 0] ** 2)}
