"""The health check: `barman check`, and whether the newest base has its archive of files.

Apart from the other commands, since it runs twice a minute: it imports nothing but what it needs.
"""

import os
import sys

from deploy.backup.keeping.barman import Barman, BarmanFailed
from deploy.backup.keeping.place import SERVER, NotSet, Place


def main() -> int:
    """Print what Barman finds; 0 when all is well."""
    try:
        place = Place.of(os.environ)
        barman = Barman(place)
        found = barman.run("check", SERVER, codes=(0, 1))
        print(found, end="")
        bases = sorted(path.name for path in (place.server / "base").glob("*"))
        archived = {path.parent.name for path in place.files.glob("*/files.json")}
    except (NotSet, BarmanFailed, OSError) as error:
        print(error)
        return 1
    # The newest may be under way.
    without = bool(bases) and not archived & set(bases[-2:])
    if without:
        print("\tfiles: FAILED (neither of the newest bases has an archive of workspaces beside it)")
    return int(without or "FAILED" in found)


if __name__ == "__main__":
    sys.exit(main())
