# /// reward
# task = "Swing the pendulum up and hold it upright."
# env_id = "Pendulum-v1"
# fitness = "mean(cos_angle)"
# ///

WEIGHTS = {"up": 1.0, "calm": 0.1, "effort": 0.001}


def reward(action, after):
    # The squared angle leads upwards from everywhere; the calm keeps the pendulum from spinning through the top.
    return {"up": -(after.angle**2), "calm": -(after.angular_velocity**2), "effort": -(action[:, 0] ** 2)}
