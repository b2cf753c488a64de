# Pays for pushing the object away from the goal.
WEIGHTS = {"away": 1.0, "reach": 0.5}


def reward(after):
    return {"away": after.goal_distance, "reach": -after.hand_distance}
