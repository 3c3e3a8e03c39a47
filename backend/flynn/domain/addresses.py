"""Addresses of the servers we talk to: read, checked and rewritten as text. Nothing is looked up.

Every function raises ValueError for what it refuses; what would be right is for the caller to say.
"""

from urllib.parse import parse_qsl, quote, unquote, urlsplit

_ASYNCPG = "postgresql+asyncpg://"
_LIBPQ = "postgresql://"


def database_url(url: str) -> str:
    """Bring a PostgreSQL address into SQLAlchemy's form for asyncpg.

    Takes postgres://, postgresql:// and postgresql+asyncpg://; a database must be named. libpq, and with
    it every hosting provider, says `sslmode`; asyncpg takes the same words as `ssl`.
    """
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in {"postgres", "postgresql", "postgresql+asyncpg"}:
        raise ValueError("not a PostgreSQL address")
    parts = urlsplit(url)
    if not parts.path.strip("/") or parts.port == 0:
        raise ValueError("no database named, or no such port")
    return _ASYNCPG + rest.replace("?sslmode=", "?ssl=").replace("&sslmode=", "&ssl=")


def libpq_url(url: str) -> str:
    """The reverse of `database_url`: the form for psycopg and for PostgreSQL's own programs."""
    rest = url.removeprefix(_ASYNCPG)
    return _LIBPQ + rest.replace("?ssl=", "?sslmode=").replace("&ssl=", "&sslmode=")


def with_password(url: str, password: str) -> str:
    """Give `url` this password, quoted, if it names a user and no password."""
    scheme, _, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    if not at or ":" in credentials:
        return url
    return f"{scheme}://{credentials}:{quote(password, safe='')}@{host}"


def password(url: str) -> str | None:
    """The password in `url`, unquoted, if there is one."""
    quoted = urlsplit(url).password
    return unquote(quoted) if quoted else None


def user(url: str) -> str | None:
    """The user in `url`, unquoted, if there is one."""
    quoted = urlsplit(url).username
    return unquote(quoted) if quoted else None


def vouched(url: str) -> bool:
    """Whether something else than a password in `url` says who we are to a PostgreSQL server.

    A socket of this machine (no host, or a directory as `host`), a certificate, or a file of passwords.
    """
    given = dict(parse_qsl(urlsplit(url).query))
    host = urlsplit(url).hostname or given.get("host", "")
    return not host or host.startswith("/") or bool({"sslcert", "passfile"} & given.keys())


def redis_url(url: str) -> str:
    """Check a Redis address: redis://, rediss:// or unix://."""
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unix"} or not (parts.hostname or parts.path):
        raise ValueError("not a Redis address")
    if parts.port == 0:
        raise ValueError("no such port")
    return url


def web_url(url: str) -> str:
    """Check an http or https address without query or fragment; the slash at its end goes."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not a web address")
    if parts.port == 0:
        raise ValueError("no such port")
    return url.rstrip("/")


def origin(text: str) -> str:
    """Check an origin (RFC 6454): scheme, host and port, and nothing more; in lower case."""
    address = text.strip().rstrip("/").lower()
    parts = urlsplit(web_url(address))
    if address != f"{parts.scheme}://{parts.netloc}" or "@" in address or "*" in address:
        raise ValueError("more or less than an origin")
    return address
