"""Simulators that Gymnasium cannot run as they are: a module registers its ids, "rewardsmith/...", when imported.

crafter    rewardsmith/Crafter-v1: an open world of survival, images
minihack   rewardsmith/MiniHack-...: NetHack's levels of MiniHack, vectors
maniskill  rewardsmith/ManiSkill-...: robot arms of ManiSkill 3, one CPU simulation, vectors

`rewardsmith/contract/env_families.py` says which packages they need;
`worker/envs/register_families.py` imports the module that an id needs.
"""
