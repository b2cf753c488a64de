"""Robots from model files: the options of an environment made from one, and the store that keeps the files.

options          RobotOptions and Randomisation, read from the keyword arguments of an environment
store            model files under their digest, so that a run and its workers mean the same file
"""

from rewardsmith.contract.robots.options import (
    ROBOT_NAMESPACE,
    Randomisation,
    RobotOptions,
    is_robot,
    read_robot_options,
    select_evaluation_options,
)

__all__ = [
    "ROBOT_NAMESPACE",
    "Randomisation",
    "RobotOptions",
    "is_robot",
    "read_robot_options",
    "select_evaluation_options",
]
