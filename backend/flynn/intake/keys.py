"""Keys: made once, stored hashed, closed for good."""

import secrets
from uuid import UUID, uuid4

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import InvalidInput, NotFound
from flynn.domain.orders import KeyOrder
from flynn.domain.principal import Scope, key_digest
from flynn.domain.views import KeyView, NewKey

_PRINCIPAL = text("""
INSERT INTO principals (id, name) VALUES (:id, :name)
ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id, xmax = 0 AS new""")
_MEMBER = text("""
INSERT INTO workspace_members (workspace_id, principal_id)
SELECT w.id, :p FROM workspaces w WHERE w.name = 'default' ON CONFLICT DO NOTHING""")
_INSERT = text("""
INSERT INTO api_keys (id, principal_id, digest, hint, scopes)
VALUES (:id, :p, :digest, :hint, :scopes) RETURNING created_at""")
_REVOKE = text("""
UPDATE api_keys k SET revoked_at = coalesce(revoked_at, clock_timestamp()) FROM principals p
WHERE k.id = :id AND p.id = k.principal_id
RETURNING k.id, p.name, k.hint, k.scopes, k.created_at, k.last_used_at, k.revoked_at""")


def scopes_of(names: list[str]) -> list[Scope]:
    """Read scope names. Raises InvalidInput, naming the scopes there are."""
    known = ", ".join(s.value for s in Scope)
    found: list[Scope] = []
    for name in names:
        try:
            found.append(Scope(name))
        except ValueError:
            raise InvalidInput(
                f"There is no scope {name!r}; the scopes are: {known}.",
                errors=[{"field": "scopes", "message": f"{name!r} is unknown; known are: {known}"}],
            ) from None
    return sorted(set(found))


async def create(connection: AsyncConnection, order: KeyOrder, *, key: str | None = None) -> NewKey:
    """Insert a key (`key` itself when it is given) for the principal `order.name`."""
    scopes = scopes_of(order.scopes)
    key = key or f"fly_{secrets.token_urlsafe(32)}"
    key_id = uuid4()
    principal = (await connection.execute(_PRINCIPAL, {"id": uuid4(), "name": order.name})).one()
    if principal.new:
        # Who was shut out of the default workspace is not let in again by a second key.
        await connection.execute(_MEMBER, {"p": principal.id})
    created = await connection.execute(
        _INSERT,
        {
            "id": key_id,
            "p": principal.id,
            "digest": key_digest(key),
            "hint": key[-4:],
            "scopes": [s.value for s in scopes],
        },
    )
    return NewKey(
        id=key_id,
        name=order.name,
        hint=key[-4:],
        scopes=[s.value for s in scopes],
        created_at=created.scalar_one(),
        key=key,
    )


async def revoke(connection: AsyncConnection, key_id: UUID) -> KeyView:
    """Close a key. Raises NotFound."""
    row: Row[tuple[object, ...]] | None = (await connection.execute(_REVOKE, {"id": key_id})).one_or_none()
    if row is None:
        raise NotFound(f"There is no key {key_id}.")
    return KeyView(**row._mapping)
