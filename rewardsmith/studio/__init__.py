"""Studio: a web page on this machine where a person watches a search, compares behaviours and steers it.

server         from a path to a listening socket and the link that opens it
security       checks of every request: token, Host, Origin; and the headers of every answer
context        what pages and forms share: runs, commands, templates
run_index      the runs below a folder, and the files in them that may be served
run_state      the state of a run, read from its directory
pages          handlers of GET: what is shown
forms          handlers of POST: feedback, which becomes events of the run's journal, and commands
subprocesses   the commands that the studio starts: a search, the next generation, a video

Pages are rendered here, from `templates/`, with the charts of `report/charts`; `static/` holds one style sheet and one
script. Nothing is loaded from a network.
"""
