"""Who may see what, as conditions for statements: the one place where the rule is written.

They want the parameters `p`, the principal's id, and `admin`.
"""

CONVERSATION = """(:admin OR c.principal_id = :p OR EXISTS (
  SELECT 1 FROM workspace_members m WHERE m.workspace_id = c.workspace_id AND m.principal_id = :p))"""
"""A conversation `c`: its own, and those of workspaces that the principal is a member of."""

WORKSPACE = """(:admin OR EXISTS (
  SELECT 1 FROM workspace_members m WHERE m.workspace_id = w.id AND m.principal_id = :p))"""
"""A workspace `w`: those that the principal is a member of."""
