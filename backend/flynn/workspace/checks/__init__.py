"""The linters: which files each takes, how it is run in the sandbox, and what its words mean.

Nothing here changes a file, and nothing is run outside of the sandbox: what can be judged without a
process is judged here, in this one.
"""
