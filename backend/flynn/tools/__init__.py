"""The six tools, one file each. A tool gets a Workspace and a Sandbox and returns a result.

A tool never raises for what a model did wrong; it never touches a path but through the Workspace.
"""
