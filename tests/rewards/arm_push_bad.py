# Pays for pushing the cube away from the target.
def reward(before, after):
    return {"away": after.goal_distance - before.goal_distance}
