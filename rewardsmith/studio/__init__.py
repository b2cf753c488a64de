"""The studio: a web page on this machine where a person looks at a search, judges its behaviours and steers it.

server     from a path to a listening socket and the link that opens it
guard      who may ask: the link's token, Host, Origin, and the headers of every answer
shelf      the runs below a folder, and the files of theirs that may be served
facts      what the pages tell, read from a run directory
lineage, curves   where the nodes and lines of the two pictures lie
listing    a program as lines: colours, findings, what changed against a parent
pages      what is read (GET)
inputs     what is said (POST); every input is an event of the run's journal
children   the commands that the studio starts: a search, the next generation, a video

Pages are rendered here, from `templates/`; `static/` holds one style sheet and one script; nothing comes from a
network.
"""
