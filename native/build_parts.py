"""Builds slicer._parts, the native plane's parts one by one: for the tests, so no wheel carries it.

python native/build_parts.py    (needs Cython and a C compiler)
"""

import os
import sys
import tomllib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Distribution, Extension

ROOT = Path(__file__).parents[1]


def build() -> None:
    """Compile beside slicer._hot, from the same C sources with the same flags."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (hot,) = project["tool"]["setuptools"]["ext-modules"]
    extension = Extension(
        "slicer._parts",
        ["native/parts.pyx", *(one for one in hot["sources"] if one.endswith(".c"))],
        include_dirs=hot["include-dirs"],
        libraries=hot["libraries"],
        extra_compile_args=hot["extra-compile-args"],
    )
    modules = cythonize([extension], build_dir="build", quiet=True)
    command = Distribution({"ext_modules": modules, "packages": ["slicer"]}).get_command_obj(
        "build_ext"
    )
    command.inplace = True
    command.force = True
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(build())
