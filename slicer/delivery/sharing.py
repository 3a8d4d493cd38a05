"""Slices of tasks that other processes may have next: whether one may be delivered at all, and the
copies from which others deliver it.

A permission is asked for as a slice is cut, and answered once it is certain. Until then the slice's
record in the spool says that nobody knows yet; a process that finds it there, since the one that
wrote it has died, asks by the *epoch* that the record has.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from slicer.delivery.copies import Copies


@dataclass(frozen=True, slots=True)
class Permission:
    """Of one slice. *epoch*: in which its task had been given to this process when it was cut;
    *granted*: whether it may be delivered, once that is known."""

    epoch: int
    granted: asyncio.Future[bool]


class Permits(Protocol):
    """Who gives permissions."""

    def ask(self, task: str) -> Permission:
        """A slice of this task was cut just now."""
        ...

    def can_say(self, task: str) -> bool:
        """Whether `held` knows of a task; else its slices wait on the disk."""
        ...

    def held(self, task: str, epoch: int) -> bool:
        """Whether a slice that an earlier process of this name cut in this epoch may be delivered:
        nobody had the task after it."""
        ...


@dataclass(frozen=True, slots=True)
class Sharing:
    """What holds where others may have a task next. *copies*: None where there are none."""

    permits: Permits
    copies: Copies | None = None
