"""Write constraints.txt: the versions of all that an installation may pull in (`make constraints`).

The oldest Python that is supported resolves them, so that newer ones agree."""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "constraints.txt"
EXTRAS = "azure,completion,cos,fast,fleet,gcs,janus,livekit,moderation,oss,otel,rekognition,s3"
HEAD = f"""\
# Versions with which rtc-slicer was tested, made by `make constraints`. For deployments that can be
# repeated: pip install --constraint constraints.txt rtc-slicer (extras: {EXTRAS})
"""


def main() -> None:
    """Resolve, without installing anything, and write the file."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
             "--report", report.name, *required()],
            check=True,
        )  # fmt: skip
        FILE.write_text(text(json.load(report)))


def required() -> list[str]:
    """What the project's own metadata ask for, without the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    return [
        *project["dependencies"],
        *(one for name in EXTRAS.split(",") for one in optional[name]),
    ]


def text(report: dict[str, list[dict[str, dict[str, str]]]]) -> str:
    """The file, of pip's report (its format 1)."""
    found = {
        one["metadata"]["name"].lower().replace("_", "-"): one["metadata"]["version"]
        for one in report["install"]
    }
    return HEAD + "".join(f"{name}=={found[name]}\n" for name in sorted(found))


if __name__ == "__main__":
    main()
