"""Small robots as MJCF and URDF text, and their environments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rewardsmith.contract.records import EnvSpec
from rewardsmith.spec.robots import make_robot_env

FLOOR = '<geom type="plane" size="0 0 1"/>'
PUPPY = """
<mujoco model="puppy">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.005"/>
  <worldbody>
    {ground}
    <body name="trunk" pos="0 0 0.2">
      {free}
      <geom type="box" size="0.1 0.06 0.03" mass="2"/>
      <body name="front" pos="0.08 0 0">
        <joint name="front" axis="0 1 0" {joint}/>
        <geom type="box" size="0.02 0.05 0.08" pos="0 0 -0.09" mass="0.2"/>
      </body>
      <body name="rear" pos="-0.08 0 0">
        <joint name="rear" axis="0 1 0" {joint}/>
        <geom type="box" size="0.02 0.05 0.08" pos="0 0 -0.09" mass="0.2"/>
      </body>
    </body>
    {world}
  </worldbody>
  {actuators}
  {more}
</mujoco>
"""
MOTORS = (
    '<actuator><motor name="front" joint="front" ctrlrange="-2 2"/>'
    '<motor name="rear" joint="rear" ctrlrange="-2 2"/></actuator>'
)
SERVOS = (
    '<actuator><position name="front" joint="front" kp="20" kv="1" ctrlrange="-1 1" forcerange="-4 4"/>'
    '<position name="rear" joint="rear" kp="20" kv="1" ctrlrange="-1 1" forcerange="-4 4"/></actuator>'
)
HOME = '<keyframe><key name="home" qpos="0 0 0.172 1 0 0 0 0 0"/></keyframe>'

ARM_URDF = """
<robot name="lever">
  <link name="base"><inertial><mass value="1"/>
    <inertia ixx="0.1" iyy="0.1" izz="0.1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <link name="lever">
    <inertial><origin xyz="0 0 0.2"/><mass value="0.5"/>
      <inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0 0 0.2"/><geometry><box size="0.05 0.05 0.4"/></geometry></collision>
  </link>
  <joint name="swing" type="revolute">
    <parent link="base"/><child link="lever"/><axis xyz="0 1 0"/>
    <limit lower="-1.5" upper="1.5" effort="{effort}" velocity="3"/>
  </joint>
</robot>
"""


def spell_puppy(
    ground: str = FLOOR,
    free: str = '<freejoint name="root"/>',
    joint: str = 'range="-1 1" damping="0.1"',
    actuators: str = SERVOS,
    world: str = "",
    more: str = HOME,
) -> str:
    """Return a robot with a trunk and two legs, front and rear."""
    return PUPPY.format(ground=ground, free=free, joint=joint, actuators=actuators, world=world, more=more)


def write_puppy(folder: Path, **parts: str) -> Path:
    """Write the file of such a robot."""
    path = folder / "puppy.xml"
    path.write_text(spell_puppy(**parts), encoding="utf-8")
    return path


def puppy_env(folder: Path, options: dict[str, Any] | None = None, **parts: str) -> EnvSpec:
    """Return the environment of such a robot, whose files are in the store of this test."""
    return make_robot_env(str(write_puppy(folder, **parts)), options or {}, folder, "puppy.xml")
