"""Permissions that a test gives, for slices whose tasks others may have next."""

import asyncio
from dataclasses import dataclass, field

from slicer.delivery.sharing import Permission

EPOCH = 7
"""In which everything is cut."""


@dataclass
class Permits:
    """*asked*: what waits for an answer; *answers*: whether a task had this epoch to its end;
    *uncertain*: tasks of which that is not known."""

    asked: dict[str, asyncio.Future[bool]] = field(default_factory=dict)
    answers: dict[tuple[str, int], bool] = field(default_factory=dict)
    uncertain: set[str] = field(default_factory=set)

    def ask(self, task: str) -> Permission:
        self.asked[task] = asyncio.get_running_loop().create_future()
        return Permission(EPOCH, self.asked[task])

    def can_say(self, task: str) -> bool:
        return task not in self.uncertain

    def held(self, task: str, epoch: int) -> bool:
        return self.answers[task, epoch]
