"""Others run between two looks at clocks: nothing seems to come before it was sent."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slicer.hot import IMPLEMENTATION

ROOT = Path(__file__).parents[2]
COMPILER = shutil.which(os.environ.get("CC", "cc"))
pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="there is no C compiler"),
    pytest.mark.skipif(IMPLEMENTATION != "native", reason="this is the native plane's"),
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD"),
]


def test_who_is_preempted_dates_nothing_too_early(tmp_path: Path) -> None:
    """A packet that seemed to be early would lower the path's least delay for good."""
    library = tmp_path / "slow_clock.so"
    source = Path(__file__).with_name("slow_clock.c")
    assert COMPILER
    subprocess.run(
        [COMPILER, "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True, timeout=60
    )
    asked = ["tests/webrtc/test_native_path.py", "-k", "the_kernels_word", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", *asked],
        cwd=ROOT,
        env=os.environ | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "2 passed" in done.stdout
