"""What other packages add to our tables of stores, rooms and suppliers, by entry point.

A package declares it in its own metadata (packaging.python.org, "Entry points specification"):

    [project.entry-points."rtc_slicer.storages"]
    redis = "redis_slices:open_storage"

Theory of operation. A table of ours is asked first, so an entry point adds a name and never
replaces one. Installed packages are looked through when a name is asked for that is not ours, once
in a process. What can be said without importing anything is said of each entry point (`fault`);
whether it works is found out when its name is asked for. Either way it is `BadInput` that names the
entry point and its package, for whoever asked for that name, and for nobody else.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import cast

from slicer.errors import BadInput, shown

PREFIX = "rtc_slicer."
MAX_NAME = 32
"""Characters of a name."""
MAX_REASON = 200
"""Characters of what an import raises that go into an error."""
_NAME = re.compile(rf"[a-z][a-z0-9+.-]{{0,{MAX_NAME - 1}}}")
"""The scheme of a URL (RFC 3986 3.1), in small letters: `urlsplit` makes them small."""


class Group(StrEnum):
    """The table that an entry point adds to."""

    STORAGES = "rtc_slicer.storages"
    ROOMS = "rtc_slicer.rooms"
    SUPPLIERS = "rtc_slicer.suppliers"


@dataclass(frozen=True, slots=True)
class Extension:
    """One entry point of an installed package. *package*: its name and version; *target*: the
    `module:object` that opens it; *fault*: why it is not used, where that is known."""

    group: str
    name: str
    package: str
    target: str
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.target} of {self.package}" if self.target else self.package

    def load(self, field: str) -> Callable[..., object]:
        """The object that opens it; its module is imported. Raises BadInput for *field*."""
        if self.fault:
            raise self._unusable(field, self.fault)
        try:
            found = EntryPoint(self.name, self.target, self.group).load()
        except Exception as error:  # importing it runs code of any kind
            why = shown(str(error), MAX_REASON)
            raise self._unusable(field, f"{type(error).__name__}: {why}") from error
        if not callable(found):
            raise self._unusable(field, f"it is a {type(found).__name__}, which cannot be called")
        return cast(Callable[..., object], found)

    def open(self, field: str, protocol: type, *arguments: object) -> object:
        """What the object gives when it is called, which has all that *protocol* names. Raises
        BadInput for *field*; what was raised instead is its cause."""
        make = self.load(field)
        try:
            opened = make(*arguments)
        except BadInput:
            raise
        except Exception as error:  # its message is not shown: it was given keys
            raise self._unusable(field, f"it raised {type(error).__name__}") from error
        # By dir(), which asks for no value: a property may do something.
        public = {name for name in dir(protocol) if not name.startswith("_")}
        if lacking := sorted(public.difference(dir(opened))):
            what = f"it gave a {type(opened).__name__} without {', '.join(lacking)}"
            raise self._unusable(field, what)
        return opened

    def _unusable(self, field: str, why: str) -> BadInput:
        return BadInput(field, self.name, f"one that can be used; {self} cannot: {why}")


def extensions(group: Group, ours: Collection[str]) -> dict[str, Extension]:
    """What is added to a table whose own names are *ours*, by name."""
    listed = [one for one in declared() if one.group == group]
    times = Counter(one.name for one in listed)
    found = {}
    for one in listed:
        fault = ""
        if one.name in ours:
            fault = "the name is taken: it is one of our own"
        elif times[one.name] > 1:
            packages = sorted(each.package for each in listed if each.name == one.name)
            fault = f"the name is declared more than once: {', '.join(packages)}"
        elif not _NAME.fullmatch(one.name):
            fault = f"a name has 1 to {MAX_NAME} of a-z 0-9 + . -, first a letter"
        found[one.name] = replace(one, fault=fault)
    return found


def added(group: Group, ours: Collection[str]) -> list[str]:
    """The names that are added to a table, in their order."""
    return sorted(name for name, one in extensions(group, ours).items() if not one.fault)


def unknown() -> list[Extension]:
    """What is declared for no table of ours, or in a file that cannot be read."""
    groups = set(Group)
    return [one for one in declared() if one.group not in groups]


@cache
def declared() -> tuple[Extension, ...]:
    """What installed packages declare for us, as of the first call."""
    seen, found = set[str](), list[Extension]()
    for one in distributions():
        # Before the metadata is read, which takes longer and is of no use for all others.
        if PREFIX not in (one.read_text("entry_points.txt") or ""):
            continue
        name = str(one.name)
        # The first on the path is the one that is imported.
        if (canonical := re.sub(r"[-_.]+", "-", name).lower()) not in seen:
            seen.add(canonical)
            found += _of_package(one, f"{name} {one.version}")
    return tuple(found)


def _of_package(package: Distribution, name: str) -> Iterator[Extension]:
    try:
        points = [one for one in package.entry_points if one.group.startswith(PREFIX)]
    except Exception as error:  # a line without '=' is a TypeError
        yield Extension("", "", name, "", f"its entry_points.txt: {type(error).__name__}")
        return
    for one in points:
        fault = "" if one.group in set(Group) else f"there is no group {one.group}"
        yield Extension(one.group, one.name, name, one.value, fault)
