"""The code behind the border: the zygote, the seal and the harness that executes a reward program.

It imports NumPy and nothing else of rewardsmith, so that a reward process has little in it to begin with and a
container needs only this folder. Inside, `inside` is a top-level package; the trusted side imports `inside.wire`
(the layout that both ends share) as `rewardsmith.sandbox.inside.wire`.

zygote      imports NumPy once, then forks a reward process per program
seal        takes away everything that a reward process does not need; `seccomp_filter` and `syscalls` serve it
harness     compiles the program in the sealed process and answers calls
arguments   what the program's function is called with
wire        the bytes that cross the border
"""
