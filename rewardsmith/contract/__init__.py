"""The code that all three kinds of process share: orchestrator, worker and reward process.

records          the dataclasses that cross a border, and how they are stored as JSON
errors           the tree of errors
reward_program   the reward contract: parses a program without running it
state_reads      the signals that a program's text names
program_edits    edits of a program's text
reward_files     a program's text from a file
findings         what checks found in a program, limited for its author
term_limits      limits of terms (`training.constraints`)
shaping          helper functions that a reward program may use
fitness          the fitness language, its bounds, and auxiliary metrics
signal_source    the language of a signal's source
observation      what a policy observes
learned_signals  options of the providers of learned signals; `captions` and `demonstrated_stages` serve two of them
robots           robots from model files: their options, and the store of the files
env_families     families of environments that need further packages
job_files        names in a job's folder
job_messages     the lines between a running job and the orchestrator
build_id         the build id, which processes compare before they work together
import_path      what the processes that rewardsmith starts may import
bounded_files    files from outside, read within bounds
package_data     the folders of task cards, prompts and sandbox files
opengl, gpus     OpenGL backends and the kind of video file; GPUs of this machine
python_ast       thread-safe parsing of Python text
known_values     means over values of which some are not known
text             text for people: numbers, counts, lines
"""
