"""A verdict in short."""

from datetime import UTC, datetime

from slicer.console.verdict import MAX_TEXT, Judgement, judgement_of
from slicer.moderation import Label, Suggest, Verdict

AT = datetime(2026, 5, 4, tzinfo=UTC)


def test_a_verdict_in_short() -> None:
    judgement = judgement_of(Verdict(Suggest.BLOCK, Label.PORN, 97, text="x" * 999), AT)
    assert (judgement.suggest, judgement.label, judgement.score) == ("block", "Porn", 97)
    assert len(judgement.text) == MAX_TEXT
    assert judgement.hit


def test_what_is_no_hit() -> None:
    assert not judgement_of(Verdict(), AT).hit
    assert not Judgement("unjudged", AT, text="nobody could").hit
