"""The code that all three kinds of process share: orchestrator, worker and reward process.

records          the dataclasses that cross a border, and how they are stored as JSON
errors           the tree of errors
reward_program   the reward contract: parses a program without running it
shaping          helper functions that a reward program may use
fitness          the fitness language, its bounds, and auxiliary metrics
signal_source    the language of a signal's source
job_messages     the lines between a running job and the orchestrator
build_id         the build id, which processes compare before they work together
env_families     families of environments that need further packages
opengl           OpenGL backends and the kind of video file
package_data     the folders of task cards, prompts and sandbox files
python_ast       thread-safe parsing of Python text
text             numbers in text for people
"""
