"""What of GStreamer this machine has, asked of the system's Python, which its bindings are for."""

import subprocess
from collections.abc import Sequence

PYTHON = "/usr/bin/python3"


def lacking(elements: Sequence[str], libraries: Sequence[str] = ()) -> str:
    """Which of these elements are not here, or why none can be looked for; "" where nothing is
    missing. *libraries*: those beside Gst itself."""
    names = ("Gst", *libraries)
    versions = "; ".join(f"gi.require_version({name!r}, '1.0')" for name in names)
    program = (
        f"import gi; {versions}; from gi.repository import {', '.join(names)}; Gst.init(None);"
        f"print(*[e for e in {tuple(elements)} if not Gst.ElementFactory.find(e)])"
    )
    try:
        done = subprocess.run(
            [PYTHON, "-c", program], capture_output=True, text=True, check=False, timeout=60
        )
    except OSError as error:
        return str(error)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()[-200:]
