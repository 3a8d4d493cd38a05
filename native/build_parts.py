"""Builds slicer._parts, the native plane's parts one by one: for the tests, so no wheel carries it.

python native/build_parts.py [NAME]…    (needs Cython and a C compiler)

NAME is `parts` by default; `hot` builds slicer._hot in place, with flags of CFLAGS if set.
"""

import os
import sys
import tomllib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Distribution, Extension

ROOT = Path(__file__).parents[1]


def build(name: str) -> None:
    """Compile slicer._NAME from native/NAME.pyx, the project's C sources and its flags."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (hot,) = project["tool"]["setuptools"]["ext-modules"]
    extension = Extension(
        f"slicer._{name}",
        [f"native/{name}.pyx", *(one for one in hot["sources"] if one.endswith(".c"))],
        include_dirs=hot["include-dirs"],
        libraries=hot["libraries"],
        extra_compile_args=hot["extra-compile-args"],
    )
    modules = cythonize([extension], build_dir="build", quiet=True)
    command = Distribution({"ext_modules": modules, "packages": ["slicer"]}).get_command_obj(
        "build_ext"
    )
    command.inplace = True
    command.build_temp = f"build/{name}"  # an installation may run at the same time
    command.force = True
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    os.chdir(ROOT)
    for each in sys.argv[1:] or ["parts"]:
        build(each)
