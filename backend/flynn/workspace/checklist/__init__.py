"""The deployment checklist: what the files of a repository say about running it.

Each item is one file with one function. A verdict needs a proof: what the files cannot decide is not
verifiable, and never guessed.
"""
