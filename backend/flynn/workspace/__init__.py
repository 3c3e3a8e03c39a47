"""Directory trees that the tools may touch: roots and containment.

Every path goes through openat2 beneath the root; nothing here starts a process.
"""
