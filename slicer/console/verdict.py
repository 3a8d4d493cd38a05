"""A verdict as the console shows it: no more of it than fits on a tile."""

from dataclasses import dataclass
from datetime import datetime

from slicer.moderation import Verdict

MAX_TEXT = 200
"""Characters of what was read or heard that are kept."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was said of a slice. *suggest*: pass, review or block, or unjudged, for which *label* is
    empty and *text* the reason; *score*: 0 to 100."""

    suggest: str
    at: datetime
    label: str = ""
    score: int = 0
    text: str = ""

    @property
    def hit(self) -> bool:
        """Whether somebody should look at it."""
        return self.suggest in {"review", "block"}


def judgement_of(verdict: Verdict, at: datetime) -> Judgement:
    """The verdict in short."""
    text = verdict.text[:MAX_TEXT]
    return Judgement(verdict.suggest.name.lower(), at, str(verdict.label), verdict.score, text)
