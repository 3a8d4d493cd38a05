"""What nobody wants the file of, as it is known before there is one."""

from slicer.delivery.delivery import Unless
from slicer.delivery.judging import Judge, Keep
from slicer.delivery.unmade import unmade
from slicer.media.thumbnail import SIZE
from slicer.rtp.parameters import Kind
from tests.harness.clock import settle
from tests.harness.delivery.spooling import delivery_of
from tests.harness.moderation.scripted import BLOCK, PASS, ScriptedSupplier
from tests.harness.moderation.stage import Stage

SAME, OTHER = bytes([100]) * SIZE, bytes([10]) * SIZE


def for_nobody(stage: Stage, key: str, keep: Keep = Keep.NONE, looked_at: bool = False) -> bool:
    """Whether nobody wants the file of a picture that is cut now."""
    cut = delivery_of(key, kind=Kind.VIDEO)
    cut.judge = Judge(stage.judging, keep)
    with unmade(cut, lambda: looked_at) as one:
        return one.for_nobody()


async def test_a_picture_that_sampling_leaves_out_needs_no_file_unless_somebody_wants_it() -> None:
    stage = Stage(sample_every=3)
    assert not for_nobody(stage, "ada/0"), "the first one is judged"
    stage.add_one("ada/0", 0)
    assert not for_nobody(stage, "ada/1"), "the first one may be a hit"
    await settle()
    for keep in Keep:
        assert for_nobody(stage, "ada/1", keep) is (keep is not Keep.ALL)
    assert not for_nobody(stage, "ada/1", looked_at=True)
    assert not for_nobody(stage, "bo/0")
    with unmade(delivery_of("ada/1", kind=Kind.VIDEO), lambda: False) as one:
        assert not one.for_nobody(), "nobody judges it: a store is to have it"
    first = delivery_of("ada/1", kind=Kind.VIDEO)
    first.judge = Judge(stage.judging)
    with unmade(first, lambda: False) as one:
        assert not for_nobody(stage, "ada/2"), "one before it is under way"
        assert one.for_nobody()
    assert for_nobody(stage, "ada/1"), "that one never came"
    await stage.judging.close()
    assert not for_nobody(stage, "ada/1"), "it would be told nothing"


async def test_what_a_thread_is_to_ask_of_a_thumbnail() -> None:
    """The last picture again is for nobody, unless it was a hit and hits are stored."""
    for answer, keeps in ((PASS, False), (BLOCK, True)):
        stage = Stage(ScriptedSupplier(lambda _file, said=answer: said), repeat_distance=4)  # type: ignore[misc]
        assert asked(stage, Keep.NONE) is None, "there is no picture before it"
        stage.add_one("ada/0", 100)
        assert asked(stage, Keep.NONE) is None, "it has no verdict yet"
        await settle()
        assert asked(stage, Keep.ALL) is None
        assert asked(stage, Keep.NONE, looked_at=True) is None
        for keep in (Keep.NONE, Keep.HITS):
            unless = asked(stage, keep)
            assert unless is not None
            assert unless(SAME) is not (keep is Keep.HITS and keeps)
            assert not unless(OTHER), "a supplier is to see it"
            assert not unless(b""), "it cannot be compared"
        await stage.advance(61.0)
        assert asked(stage, Keep.NONE) is None, "it is looked at again"
        await stage.judging.close()


async def test_what_sampling_leaves_out_is_compared_where_it_could_be_the_last_again() -> None:
    """What is told of it depends on that, and whether a store is to have it."""
    stage = Stage(
        ScriptedSupplier(lambda _file: BLOCK),
        repeat_distance=4,
        sample_every=3,
        sample_after_hit=3,
    )
    stage.add_one("ada/0", 100)
    await settle()
    for keep, again in ((Keep.NONE, True), (Keep.HITS, False)):
        assert not for_nobody(stage, "ada/1", keep)
        unless = asked(stage, keep)
        assert unless is not None
        assert (unless(SAME), unless(OTHER)) == (again, True)
    await stage.advance(61.0)
    assert for_nobody(stage, "ada/1"), "it is not compared any more"
    await stage.judging.close()


async def test_one_that_has_its_thumbnail_is_known_without_its_file() -> None:
    stage = Stage(repeat_distance=4)
    stage.add_one("ada/0", 100)
    await settle()
    cut = delivery_of("ada/1", kind=Kind.VIDEO)
    cut.judge = Judge(stage.judging)
    with unmade(cut, lambda: False) as one:
        assert not one.for_nobody(), "it has to be decoded first"
        cut.thumbnail = OTHER
        assert not one.for_nobody()
        cut.thumbnail = SAME
        assert one.for_nobody()
        await stage.advance(61.0)
        assert not one.for_nobody(), "meanwhile it is too old to be repeated"
    await stage.judging.close()


def asked(stage: Stage, keep: Keep, looked_at: bool = False) -> Unless | None:
    cut = delivery_of("ada/1", kind=Kind.VIDEO)
    cut.judge = Judge(stage.judging, keep)
    with unmade(cut, lambda: looked_at) as one:
        return one.unless()
