"""Snapshots: what the files of a workspace were after each call, so that changes can be shown and undone.

A store beside the workspace, on its volume and out of every tool's reach, holds each content once, under its
digest. The service walks the workspace by descriptor and reads what changed itself: no program is run over
the tree, so nothing that lies in it can be run by being looked at. See docs/decisions/0029.
"""
