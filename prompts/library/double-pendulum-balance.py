# /// reward
# task = "Balance the two poles upright on the cart."
# env_id = "InvertedDoublePendulum-v5"
# fitness = "length"
# ///

WEIGHTS = {"balanced": 1.0, "high": 1.0, "middle": 0.01}


def reward(after):
    # Each step upright is worth as much as the others, so that a long episode pays; the rest says how to stay there.
    return {
        "balanced": np.where(after.tip_height > 1.0, 1.0, 0.0),
        "high": -((after.tip_height - 1.2) ** 2),
        "middle": -(after.tip_x**2),
    }
