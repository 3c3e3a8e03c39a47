"""Compose files that cannot be read or understood, with what is said of each; and odd ones that can."""

from flynn.workspace.checks.source import LARGEST_FILE

SERVICE = "services:\n  db:\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD: {}\n"

BROKEN_COMPOSE: dict[str, tuple[str | bytes, str]] = {
    "syntax": (SERVICE.format("${P}") + "    ports: [1\n", "does not parse"),
    "tab": ("services:\n\tdb:\n\t\timage: postgres:17\n", "does not parse"),
    "nul": (b"services:\n  db: \0\n", "is no UTF-8 text"),
    "latin-1": ("services:\n  db:\n    image: postgres:17 # größer\n".encode("latin-1"), "is no UTF-8 text"),
    "utf-16": (SERVICE.format("${P}").encode("utf-16"), "is no UTF-8 text"),
    "a list": ("- services:\n", "has a list for its top, where a mapping belongs"),
    "a text": ("services\n", "has a text for its top, where a mapping belongs"),
    "a list of services": ("services:\n  - web\n", "has a list for its services, where a mapping belongs"),
    "a service that is a text": ("services:\n  web: nginx:1.29\n", "has a text for the service web"),
    "a service that is nothing": ("services:\n  web:\n", "has nothing for the service web"),
    "an image that is a list": (
        "services:\n  web:\n    image: [a:1]\n",
        "has a list for image of the service web, where a text belongs",
    ),
    "a user that is a mapping": (
        "services:\n  web:\n    build: .\n    user: {name: me}\n",
        "has a mapping for user of the service web, where a text belongs",
    ),
    "an environment that is a text": (
        "services:\n  web:\n    image: a:1\n    environment: A=b\n",
        "has a text for environment of the service web, where a mapping or a list belongs",
    ),
    "an alias without an anchor": ("services:\n  web: *base\n", "does not parse"),
    "an alias within its anchor": ("services: &a\n  web: *a\n", "does not parse"),
    "aliases without end": (
        "a: &a [x, x]\n"
        + "".join(
            f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "does not parse",
    ),
    "two documents": ("services: {}\n---\nservices: {}\n", "holds more than one document"),
    "deep": ("services: " + "{a: " * 500, "does not parse"),
    "10,000 services": (
        "services:\n" + "".join(f"  web{n}:\n    image: nginx:1.29\n" for n in range(10_000)),
        "is too large to be looked into",
    ),
    "too large": (SERVICE.format("${P}") + "#" * LARGEST_FILE, "is larger than 1 MiB, or cannot be opened"),
}

READABLE: dict[str, str | bytes] = {
    "empty": "",
    "blank": "\n\n",
    "comment": "# nothing\n",
    "null": "services: null\n",
    "none": "services: {}\n",
    "mark": b"\xef\xbb\xbfservices:\n  web:\n    image: nginx:1.29\n",
    "crlf": b"services:\r\n  web:\r\n    image: nginx:1.29\r\n",
    "anchors": "x-a: &a\n  image: nginx:1.29\nservices:\n  web: *a\n  api:\n    <<: *a\n",
    "extensions": "services:\n  x-a: 3\n  web:\n    image: nginx:1.29\n",
}
