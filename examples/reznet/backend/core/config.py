"""Settings of the backend, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True)
class Settings:
    """What the backend can be told; every default suits development."""

    database_url: str = "postgresql+asyncpg://postgres:localdev123@localhost:5432/reznetai_local"
    redis_url: str = "redis://localhost:6379/0"
    log_level: str = "INFO"
    max_agents: int = 50

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables of .env.example. Raises ValueError, naming the variable."""
        level = environment.get("LOG_LEVEL", cls.log_level).upper()
        if level not in LOG_LEVELS:
            raise ValueError(f"LOG_LEVEL is {level!r}; it must be one of {', '.join(LOG_LEVELS)}")
        written = environment.get("MAX_AGENTS", str(cls.max_agents))
        if not written.isdecimal() or int(written) < 1:
            raise ValueError(f"MAX_AGENTS is {written!r}; it must be a whole number above 0")
        return cls(
            database_url=environment.get("DATABASE_URL", cls.database_url),
            redis_url=environment.get("REDIS_URL", cls.redis_url),
            log_level=level,
            max_agents=int(written),
        )
