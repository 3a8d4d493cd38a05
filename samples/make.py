"""Makes the two sample anchors again: python samples/make.py [FOLDER]; the same bytes every time.

The bytes depend on the encoders of the installed PyAV; what they show does not.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    # Run as a script, the repository's root is not on the path.
    sys.path.insert(0, str(HERE.parent))

from tests.harness.media.content import AMBER, BLUE, Content, Encoding, Painter, encode  # noqa: E402

SAMPLES = {
    "anchor-blue.webm": (Content(Painter(BLUE), seconds=24, seed=1), Encoding("vp8")),
    "anchor-amber.mp4": (Content(Painter(AMBER), seconds=24, seed=2), Encoding("h264")),
}


def main(folder: Path = HERE) -> None:
    """Write both samples into *folder* and say how large they are."""
    for name, (content, encoding) in SAMPLES.items():
        encode(folder / name, content, encoding)
        print(f"{name}  {(folder / name).stat().st_size} bytes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
