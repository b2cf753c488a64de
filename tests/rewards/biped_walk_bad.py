# Pays for falling backwards.
def reward(after):
    return {"back": -after.forward_velocity, "fall": -after.upright}
