"""What is sliced of libwebrtc behind bad networks: `python -m bench.networks [--write] [NAME…]`.

For each of `tests/harness/network/conditions.py`: a microphone and a camera, each by a path of its
own, an audio slice every 3 s and a picture a second, read back from the store. NAME: only those
whose name has it. `--write` puts the table into docs/rooms.md.
"""

import argparse
import asyncio
import re
import tempfile
from pathlib import Path

from tests.harness.end_to_end import studio
from tests.harness.media.content import Content, write_wav, write_y4m
from tests.harness.network.conditions import CONDITIONS, FPS, SECONDS, Condition, Outcome, measure
from tests.harness.storage.seaweed import running

PAGE = Path(__file__).parents[1] / "docs" / "rooms.md"
TABLE = re.compile(r"\| network \|.*?\n\n", re.DOTALL)
HEAD = (
    "network", "audio slices", "beeps", "off by", "audio packets lost, filled",
    "video packets lost, repeated", "pictures", "damaged", "frames between two", "anchor",
)  # fmt: skip
AT_A_TIME = 4


def row(one: Outcome) -> str:
    """One line of the table."""
    nominal = sum(abs(length - SECONDS) < 1e-6 for length in one.lengths)
    odd = sorted(f"{length:.2f}" for length in one.lengths if abs(length - SECONDS) >= 1e-6)
    lengths = f"{nominal} of {SECONDS} s" + (f"; {', '.join(odd)} s" if odd else "")
    steps = f"{min(one.steps)}–{max(one.steps)}" if one.steps else "–"
    cells = (
        one.condition.name,
        lengths if one.exact else f"{lengths}; NOT the samples told",
        f"{one.beeps} in {one.seconds:.1f} s",
        f"{1000 * one.off:.0f} ms",
        f"{one.lost[0]}, {one.filled}",
        f"{one.lost[1]}, {one.repeated}",
        f"{len(one.pictures)}",
        f"{one.damaged}",
        f"{steps} ({FPS} is one a second)" if one.condition.name == "none" else steps,
        "left" if one.left else "stayed",
    )
    return "| " + " | ".join(cells) + " |"


async def main(conditions: list[Condition], write: bool) -> None:
    """Measure, and print or write the table."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as store:
        devices = Path(folder, "camera.y4m"), Path(folder, "microphone.wav")
        write_y4m(devices[0], Content(seconds=20))
        write_wav(devices[1], Content(seconds=120))  # it is not repeated
        for at in range(0, len(conditions), AT_A_TIME):
            async with studio(store) as stage:
                for one in await measure(stage, devices, conditions[at : at + AT_A_TIME]):
                    lines.append(row(one))
                    print(lines[-1], flush=True)
    if write:
        page = PAGE.read_text()
        assert TABLE.search(page), f"no table of networks in {PAGE}"
        PAGE.write_text(TABLE.sub(lambda _: "\n".join(lines) + "\n\n", page, count=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.networks", description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    names = given.names or [""]
    chosen = [one for one in CONDITIONS if any(name in one.name for name in names)]
    asyncio.run(main(chosen, given.write))
