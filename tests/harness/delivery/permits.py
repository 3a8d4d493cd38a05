"""Permissions that a test gives, for slices whose tasks others may have next."""

import asyncio
from dataclasses import dataclass, field

from slicer.delivery.sharing import Permission

EPOCH = 7
"""In which everything is cut."""


@dataclass
class Permits:
    """*asked*: what waits for an answer; *answers*: whether a task had this epoch to its end."""

    asked: dict[str, asyncio.Future[bool]] = field(default_factory=dict)
    answers: dict[tuple[str, int], bool] = field(default_factory=dict)

    def ask(self, task: str) -> Permission:
        self.asked[task] = asyncio.get_running_loop().create_future()
        return Permission(EPOCH, self.asked[task])

    def held(self, task: str, epoch: int) -> bool:
        return self.answers[task, epoch]
