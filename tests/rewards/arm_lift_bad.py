# Pays for keeping away from the cube.
def reward(after):
    return {"away": after.reach_distance}
