"""Freezes the newest schema, with rows that this version's code writes: `python -m tests.store.freeze`.

Run it once, for the last commit before a release whose schema is new, and commit the file that it makes in
`released/`; from then on `test_store_released.py` brings it forward. It refuses to write over one.
"""

import asyncio
import re
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy import text

from flynn.domain.orders import TaskOrder
from flynn.store.embedded.programs import postgres_program
from flynn.store.migrate import head
from tests.house import House, open_house

RELEASED = Path(__file__).parent / "released"

SCRIPT = """
name: work
match: "Look at notes.txt"
turns:
  - blocks: [{thinking: I look first.}, {text: Let me see.}, {tool: Read, input: {file_path: notes.txt}}]
  - blocks:
      - {tool: Write, input: {file_path: made.txt, content: "größer\\n"}}
      - {tool: Bash, input: {command: "echo out; exit 3"}}
  - blocks: [{tool: Edit, input: {file_path: made.txt, old_string: "größer", new_string: "kleiner"}}]
  - blocks: [{text: It is done.}]
---
name: task
match: "Count the files"
turns:
  - blocks: [{tool: Bash, input: {command: "ls | wc -l"}}]
  - blocks: [{text: There are two.}]
"""
_RELATIONS = text("""
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S') AND relname NOT LIKE 'procrastinate%'
ORDER BY relname""")
_NOISE = re.compile(r"^(--|\\(un)?restrict|SET |SELECT pg_catalog\.set_config).*\n", re.MULTILINE)
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")
NO_SECRET = "whsec_bm90IGEgc2VjcmV0OiBhIGZpeHR1cmUgb2YgdGVzdHM="


async def live(house: House) -> None:
    """A conversation and a task that are over, and one of each that wait."""
    await asyncio.to_thread((house.workspace / "notes.txt").write_text, "eins\nzwei\n")
    talk = await house.converse()
    await house.say(talk.id, "Look at notes.txt and make another.", client_message_id="first")
    await house.work()
    await house.say(talk.id, "And again.")
    await house.work()
    told = {"callback_url": "https://quorra.example/hook", "acceptance_criteria": ["a number"]}
    await delegate(house, "Count the files here.", budget={"turns": 9}, **told)
    await house.work()
    waiting = await house.converse()
    await house.say(waiting.id, "Look at notes.txt, when there is time.")
    await delegate(house, "Count the files once more.")


async def delegate(house: House, instructions: str, **more: object) -> None:
    order = TaskOrder.model_validate({"instructions": instructions, "workspace": "house", **more})
    await house.intake.delegate_task(house.owner, order, idempotency_key=instructions)


async def freeze(place: Path) -> str:
    """The dump of a database in which that happened, in an empty directory `place`."""
    async with open_house(place, SCRIPT, volume=True) as house:
        await live(house)
        async with house.database.statement() as connection:
            names = (await connection.scalars(_RELATIONS)).all()
        found = await asyncio.to_thread(dump, house.postgres.dsn, list(names))
    return re.sub(r"\n{3,}", "\n\n", _SECRET.sub(NO_SECRET, _NOISE.sub("", found)))


def dump(dsn: str, relations: list[str]) -> str:
    """Schema and rows of these relations as SQL."""
    options = ["--inserts", "--no-owner", "--no-privileges", "--dbname", dsn]
    chosen = [f"--table={name}" for name in relations]
    return subprocess.run(
        [postgres_program("pg_dump"), *options, *chosen], capture_output=True, text=True, check=True
    ).stdout


def main() -> None:
    """Write the file of the newest schema."""
    file = RELEASED / f"{head()}.sql"
    if file.exists():
        raise SystemExit(f"{file.name} is frozen already; a released schema does not change")
    with tempfile.TemporaryDirectory(prefix="flynn-released-") as place:
        file.write_text(asyncio.run(freeze(Path(place))))
    print(f"made {file.name}")


if __name__ == "__main__":
    main()
