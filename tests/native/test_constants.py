"""A number that both planes have is the same in both, and so are the counters' names."""

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "native"
COMPILER = shutil.which(os.environ.get("CC", "cc"))

# Where a file's numbers stand in the reference.
TWINS = {
    "activity.h": "slicing.activity",
    "audio.c": "slicing.audio",
    "av1.c": "rtp.codecs.obu",
    "av1_sizes.c": "rtp.codecs.av1_sizes",
    "bundle.h": "slicing.bundle",
    "candidates.c": "rtp.stream",
    "candidates.h": "rtp.stream",
    "demultiplexer.c": "rtp.demultiplexer",
    "demultiplexer.h": "rtp.demultiplexer",
    "depacketizer.h": "rtp.codecs.assembly",
    "h265.c": "rtp.codecs.h265",
    "layers.c": "rtp.layers",
    "layers.h": "rtp.layers",
    "clock_offset.c": "rtp.clock_offset",
    "mapping.c": "rtp.mapping",
    "mapping.h": "rtp.mapping",
    "minima.h": "rtp.minima",
    "nack.h": "rtp.rtcp.nack",
    "nal.h": "rtp.codecs.parameter_sets",
    "opus.c": "rtp.codecs.opus",
    "packet.h": "rtp.packet",
    "parameters.h": "rtp.parameters",
    "red.h": "rtp.red",
    "report_wait.c": "slicing.report_wait",
    "report_wait.h": "slicing.report_wait",
    "reporter.c": "rtp.rtcp.reporter",
    "reporter.h": "rtp.rtcp.transport_feedback",
    "ring.h": "rtp.ring",
    "rtcp.c": "rtp.rtcp.feedback",
    "rtcp.h": "rtp.rtcp",
    "sps.c": "rtp.codecs.sps",
    "stream.c": "rtp.stream",
    "stream.h": "rtp.stream",
    "track.h": "slicing.track",
    "transport_reporter.c": "rtp.rtcp.transport_reporter",
    "transport_reporter.h": "rtp.rtcp.transport_reporter",
    "transport_feedback.c": "rtp.rtcp.transport_feedback",
    "transport_feedback.h": "rtp.rtcp.transport_feedback",
    "video.c": "slicing.video",
    "vp8.c": "rtp.codecs.vp8",
    "vp9.c": "rtp.codecs.vp9",
}
PREFIXES = (
    "",
    "_",
    "ACTIVITY_",
    "BUNDLE_",
    "DEMULTIPLEXER_",
    "LAYERS_",
    "MAPPING_",
    "NACK_",
    "RED_",
    "RING_",
    "STREAM_",
    "TRANSPORT_",
    "RTCP_",
)
# Numbers of these files that only C needs: memory that is kept, and marks in an array.
OF_C_ALONE = {
    ("audio.c", "FEWEST_PACKETS"),
    ("audio.c", "PACKETS_AHEAD"),
    ("audio.c", "BYTES_AHEAD"),
    ("demultiplexer.c", "FEWEST_BITS"),
    ("candidates.c", "FEWEST_HELD"),
    ("report_wait.c", "FEWEST_WAITING"),
    ("packet.h", "NO_ORIENTATION"),
    ("packet.h", "NO_LEVEL"),
    ("track.h", "OVERDUE"),
    ("transport_feedback.c", "NOT_RECEIVED"),
    ("video.c", "KEPT_BYTES"),
    ("video.c", "KEPT_FRAMES"),
}
# Files whose numbers have no counterpart: sockets, SRTP, STUN, memory, and wire formats that Python
# reads with `struct`.
WITHOUT_TWIN = re.compile(
    r"(plane|peer|srtp|srtp_crypto|stun|core|levels|receiver|track|packet|ring|depacketizer|elements)"
    r"\.[ch]|bundle\.c"
)
OF_A_TASK = {"anchors_refused", "tracks_refused"}
COUNTED = re.compile(r'(?:counters|_refused)\["(\w+)"\]')


class Number(NamedTuple):
    """A macro without parameters, and what stands behind its name."""

    file: str
    name: str
    body: str


def numbers() -> Iterator[Number]:
    """All of the packet path's; guards of headers have no body."""
    for path in sorted([*NATIVE.glob("*.c"), *NATIVE.glob("*.h")]):
        if path.with_suffix(".pyx").exists():  # what Cython wrote
            continue
        for name, body in re.findall(r"^#define ([A-Z]\w+) (.+)$", path.read_text(), re.MULTILINE):
            yield Number(path.name, name, re.sub(r"/\*.*", "", body).strip())


NUMBERS = list(numbers())
TWINNED = [one for one in NUMBERS if one.file in TWINS and (one.file, one.name) not in OF_C_ALONE]


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], float]:
    """What the C compiler makes of each."""
    if COMPILER is None:
        pytest.skip("there is no C compiler")
    lines = [
        f'    printf("{one.file} {one.name} %.17g\\n", (double)({one.body}));' for one in TWINNED
    ]
    body = "\n".join(lines)
    program = f'#include <stdio.h>\n#include "core.h"\nint main(void) {{\n{body}\n}}\n'
    binary = tmp_path_factory.mktemp("numbers") / "numbers"
    command = [COMPILER, "-std=c11", f"-I{NATIVE}", "-x", "c", "-", "-o", str(binary)]
    subprocess.run(command, input=program, text=True, check=True, capture_output=True)
    said = subprocess.run([str(binary)], text=True, check=True, capture_output=True).stdout
    words = (line.split() for line in said.splitlines())
    return {(file, name): float(value) for file, name, value in words}


def reference(one: Number) -> object:
    """What the reference calls the same number; None where it has none of that name."""
    module = importlib.import_module(f"slicer.{TWINS[one.file]}")
    names = [one.name.removeprefix(prefix) for prefix in PREFIXES]
    found = [getattr(module, f"{lead}{name}", None) for name in names for lead in ("", "_")]
    return next((value for value in found if value is not None), None)


@pytest.mark.parametrize("one", TWINNED, ids=lambda one: f"{one.file}-{one.name}")
def test_a_number_is_the_same_in_both(one: Number, values: dict[tuple[str, str], float]) -> None:
    assert reference(one) == values[one.file, one.name]


def test_there_are_as_many_as_there_were() -> None:
    assert len(TWINNED) >= 45


def test_every_number_is_looked_at_or_is_known_to_be_of_c_alone() -> None:
    unknown = [
        one for one in NUMBERS if one.file not in TWINS and not WITHOUT_TWIN.fullmatch(one.file)
    ]
    assert unknown == []
    assert {(one.file, one.name) for one in NUMBERS} >= OF_C_ALONE


def test_both_planes_count_by_the_same_names() -> None:
    parts: Any = pytest.importorskip("slicer._parts", reason="the native parts are not built")
    sources = [*(ROOT / "slicer/rtp").rglob("*.py"), *(ROOT / "slicer/slicing").rglob("*.py")]
    text = "\n".join(path.read_text() for path in sources)
    assert set(COUNTED.findall(text)) - OF_A_TASK <= set(parts.COUNTERS)
    everywhere = "\n".join(path.read_text() for path in (ROOT / "slicer").rglob("*.py"))
    native_only = {"out_of_memory", "receive_buffer_full", "others_dropped", "cuts_dropped"}
    native_only |= {"rtcp_unsent"}
    unused = {name for name in parts.COUNTERS if f'"{name}"' not in everywhere}
    assert unused <= native_only
