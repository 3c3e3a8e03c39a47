"""Where everything is: from the environment of the container, with the defaults of docker-compose.yml.

HOME/barman.conf        Barman's settings, filled in from the template
HOME/password           of the role `barman`, as libpq reads it; made at random
HOME/main/              Barman's: base/, wals/, streaming/
HOME/files/BACKUP/      the service's own files as they were at that base: files.json, files.tar.gz
HOME/tails/LINE/        the segment that was being received when a line ended, which Barman would throw away
HOME/state.json         which database is backed up, and until when its log is here
"""

import os
import pwd
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SERVER = "main"
"""What Barman calls the one server."""

ROLE = "barman"
SLOT = "barman"

TEMPLATE = Path(__file__).parent.parent / "barman.conf"
TREES = ("workspaces", ".flynn", ".flynn-volume")
"""What of the data volume is archived: as flynn.app.backups has it."""


class NotSet(Exception):
    """A setting is missing or cannot be; the message names it and says what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The settings of the service."""

    home: Path
    data: Path
    host: str
    port: int
    database: str
    superuser: str
    superuser_password: str = field(repr=False)
    hours: float
    """Between two bases."""
    days: int
    """Of which any second can be restored."""
    tick_seconds: float
    """Between two looks at everything."""
    metrics_port: int
    """Where the figures are served; 0 for nowhere."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Place":
        """What `environment` says. Raises NotSet."""
        return cls(
            home=Path(environment.get("BARMAN_HOME", "/var/lib/barman")),
            data=Path(environment.get("FLYNN_DATA_DIR", "/data")),
            host=environment.get("PGHOST", "postgres"),
            port=int(_number(environment, "PGPORT", 5432, least=1, most=65535)),
            database=environment.get("PGDATABASE", "reznetai_local"),
            superuser=environment.get("PGUSER", "postgres"),
            superuser_password=environment.get("POSTGRES_PASSWORD", ""),
            hours=_number(environment, "FLYNN_BACKUP_HOURS", 24, least=0.001, most=744),
            # Barman counts whole days; a part of one is kept as a whole one.
            days=-int(-_number(environment, "FLYNN_BACKUP_DAYS", 7, least=0.001, most=3650) // 1),
            tick_seconds=_number(environment, "BARMAN_TICK_SECONDS", 60, least=0.1, most=3600),
            metrics_port=int(_number(environment, "BARMAN_METRICS_PORT", 9188, least=0, most=65535)),
        )

    @property
    def configuration(self) -> Path:
        """Barman's settings."""
        return self.home / "barman.conf"

    @property
    def password_file(self) -> Path:
        """The password of ROLE, as libpq reads it."""
        return self.home / "password"

    @property
    def files(self) -> Path:
        """The archives of the service's own files."""
        return self.home / "files"

    @property
    def tails(self) -> Path:
        """The last segments of lines that have ended."""
        return self.home / "tails"

    @property
    def server(self) -> Path:
        """Barman's directory of the one server."""
        return self.home / SERVER

    def password(self) -> str:
        """The password of ROLE, made when there is none."""
        try:
            return self.password_file.read_text().strip().rpartition(":")[2]
        except FileNotFoundError:
            password = secrets.token_hex(24)
            draft = self.home / "password.draft"
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"*:*:*:{ROLE}:{password}\n")
            draft.replace(self.password_file)
            return password

    def lay_out(self) -> None:
        """Make the directories and write Barman's settings, which change with the container's."""
        for directory in (self.home / "locks", self.files, self.tails):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.password()
        connection = " ".join(
            f"{name}={_quoted(str(value))}"
            for name, value in {
                "host": self.host,
                "port": self.port,
                "user": ROLE,
                "dbname": self.database,
                "passfile": self.password_file,
                "connect_timeout": 10,
            }.items()
        )
        text = TEMPLATE.read_text().format(
            user=pwd.getpwuid(os.geteuid()).pw_name,
            home=self.home,
            connection=connection,
            days=self.days,
            oldest=max(1, round(self.hours * 1.5)),
        )
        draft = self.home / "barman.conf.draft"
        draft.write_text(text)
        draft.chmod(0o600)
        draft.replace(self.configuration)


def _quoted(value: str) -> str:
    """A value of a connection string, as libpq reads it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" if not value.isalnum() else value


def _number(environment: Mapping[str, str], name: str, default: float, *, least: float, most: float) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not least <= found <= most:
        raise NotSet(f"{name} is {text!r} and has to be a number from {least:g} to {most:g}.")
    return found
