"""The key of the model's API: what is asked and what is shown of it, which is never the key."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from flynn.domain.errors import Conflict

KeySource = Literal["environment", "stored", "none"]
"""Where the key comes from: ANTHROPIC_API_KEY (of the environment or `.env`), the data directory, nowhere."""

NO_KEY = "There is no key of the model's API"
HOW_TO_GIVE = (
    "Give one in the page's field, or set ANTHROPIC_API_KEY in the environment or in .env and start the "
    "service again"
)

_PRINTABLE = re.compile(r"[!-~]+")
_SHAPE = re.compile(r"[!-~]{6,500}")


class ModelKeyMissing(Conflict):
    """The model would be needed, and this process has no key for it: nobody would answer.

    A conflict and no outage: waiting does not help, while programs take a 503 for something that passes,
    and send the same again.
    """

    code = "model-key-missing"
    title = NO_KEY

    def __init__(self) -> None:
        super().__init__(
            f"{NO_KEY}, so nobody would answer. {HOW_TO_GIVE}. The scripted example needs none: the page "
            "plays it, and so does Flynn's command `demo`."
        )


def sendable(key: SecretStr | None) -> SecretStr | None:
    """`key`, which a header can carry. Raises ValueError for one with spaces or anything beyond ASCII."""
    if key is not None and not _PRINTABLE.fullmatch(key.get_secret_value()):
        raise ValueError("not printable ASCII")
    return key


def _shaped(key: SecretStr) -> SecretStr:
    key = SecretStr(key.get_secret_value().strip())
    if not _SHAPE.fullmatch(key.get_secret_value()):
        raise ValueError("should be a whole key: 6 to 500 characters without spaces, as sk-ant-… is")
    return key


class ModelKeyOrder(BaseModel):
    """Give the service a key of the model's API; it is kept in the data directory and never shown again."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: Annotated[SecretStr, AfterValidator(_shaped)]
    unchecked: bool = Field(
        default=False, description="Keep it without asking the model's API first whether it takes it"
    )


class ModelKeyView(BaseModel):
    """Whether there is a key, never the key. `accepted` is null until the model's API has said anything."""

    model_config = ConfigDict(frozen=True)

    source: KeySource = Field(
        description="environment: ANTHROPIC_API_KEY, which wins; stored: given over this API; none"
    )
    stored_at: datetime | None = Field(
        default=None, description="When the stored key was given, also while ANTHROPIC_API_KEY wins over it"
    )
    accepted: bool | None = Field(
        default=None, description="What the model's API last said of the key that is used"
    )
    address: str = Field(description="ANTHROPIC_BASE_URL: the only place that the key is sent to")
