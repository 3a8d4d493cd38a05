"""Kills an engine in the middle, with a supplier that takes up to 300 ms and fails now and then.

`python -m bench.kills [--kills N]`: all lives have one spool. In the end every slice that was on
the disk must have been judged, or told as not judged, and the hits alone must be stored.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.harness.moderation.kills import kill


def main() -> None:
    """Kill, look, tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tale = asyncio.run(kill(Path(folder), given.kills, given.seed))
    tale.check()
    requests = sum(tale.asked.values())
    print(
        f"{given.kills} kills: {len(tale.spooled)} slices on the disk, {len(tale.told)} told, "
        f"{len(tale.stored)} hits stored, none lost, none passed in silence; "
        f"{requests} requests, {tale.told_again} told a second time under the same id"
    )


if __name__ == "__main__":
    main()
