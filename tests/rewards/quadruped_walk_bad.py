# Pays for walking backwards.
def reward(after):
    return {"back": -after.forward_velocity}
