"""Passwords of databases that everybody knows: those of examples, images and tutorials.

It judges no password of one's own, neither its length nor its letters: one that was made by a machine is
good, and one that a person thought of cannot be told from it here.
"""

from typing import Final

KNOWN: Final = frozenset(
    {
        *(
            "postgres",
            "postgresql",
            "password",
            "passw0rd",
            "pass",
            "secret",
            "admin",
            "root",
            "user",
            "default",
        ),
        *("changeme", "change-me", "change_me", "changethis", "example", "test", "test123", "dev", "local"),
        *(
            "localdev",
            "localdev123",
            "mysecretpassword",
            "123456",
            "12345678",
            "1234567890",
            "qwerty",
            "letmein",
        ),
        *("reznet", "reznetai", "reznetai_local", "flynn"),
    }
)
"""In small letters, as they are compared."""


def known_to_all(password: str | None, *, user: str | None = None) -> bool:
    """Whether there is no password, or one that is tried first: a well-known one, or the user's name."""
    return not password or password.casefold() in KNOWN or password == user
