"""Tokens and money. Money is counted in whole nano-dollars, so that sums are exact."""

from pydantic import BaseModel, ConfigDict

NANO = 1_000_000_000
"""Nano-dollars in one dollar."""


class Usage(BaseModel):
    """Tokens of one model call, or the sum of several.

    `input` are the uncached prompt tokens; the prompt's size is `prompt`.
    """

    model_config = ConfigDict(frozen=True)

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    @property
    def prompt(self) -> int:
        """All prompt tokens, however they were priced."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        """All tokens, of the prompt and of the answer."""
        return self.prompt + self.output

    def __add__(self, other: "Usage") -> "Usage":
        """Add two usages token class by token class."""
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write_5m=self.cache_write_5m + other.cache_write_5m,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
        )


def dollars(nanodollars: int) -> float:
    """Nano-dollars as dollars, for people; never for sums."""
    return nanodollars / NANO


def nanodollars(dollars: float) -> int:
    """Dollars as whole nano-dollars, rounded to the nearest."""
    return round(dollars * NANO)
