"""Copies of spooled slices: written, deleted, found by others; places that fail, and slow ones."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

import pytest
import pytest_asyncio

from slicer.delivery import copies as module
from slicer.delivery.copies import AT_ONCE, BACKOFF, Copies
from tests.harness.clock import ManualClock, settle
from tests.harness.delivery.scripted_place import ScriptedPlace


@dataclass
class Here:
    place: ScriptedPlace
    clock: ManualClock
    copies: Copies

    def add(self, key: str, data: bytes | None = b"record") -> None:
        async def read() -> bytes | None:
            return data

        self.copies.add(key, read)

    def verbs(self) -> list[str]:
        return [one.partition(" ")[0] for one in self.place.asked]


@pytest_asyncio.fixture
async def here() -> AsyncIterator[Here]:
    place, clock = ScriptedPlace(), ManualClock()
    place.gate.set()
    made = Here(place, clock, Copies(place, clock))
    yield made
    place.gate.set()
    await made.copies.close()


async def test_a_copy_is_there_until_its_slice_is_done_with(here: Here) -> None:
    here.add("t/1/x.slice")
    assert len(here.copies) == 1
    await settle()
    assert here.place.there == {"t/1/x.slice": b"record"}
    assert (len(here.copies), here.copies.written) == (0, 1)
    here.copies.remove("t/1/x.slice")
    await settle()
    assert here.place.there == {}


async def test_one_that_was_not_begun_costs_nothing(here: Here) -> None:
    here.add("t/1/x.slice")
    here.copies.remove("t/1/x.slice")
    here.add("t/1/gone.slice", None)
    await settle()
    assert here.place.asked == []


async def test_one_that_is_on_its_way_is_deleted_after_it_has_come(here: Here) -> None:
    here.place.gate.clear()
    here.add("t/1/x.slice")
    await settle()
    here.copies.remove("t/1/x.slice")
    await settle()
    assert here.verbs() == ["put"]
    here.place.gate.set()
    await settle()
    assert (here.verbs(), here.place.there) == (["put", "delete"], {})


async def test_a_place_that_fails_is_tried_again_and_told_once(
    here: Here, caplog: pytest.LogCaptureFixture
) -> None:
    here.place.failing = True
    here.add("t/1/x.slice")
    here.add("t/1/y.slice")
    await settle()
    assert (here.copies.failures, here.copies.written, len(here.copies)) == (2, 0, 2)
    here.place.failing = False
    here.clock.advance(BACKOFF.after_failure(1, 1.0))
    await settle()
    assert sorted(here.place.there) == ["t/1/x.slice", "t/1/y.slice"]
    first, last = caplog.messages
    assert first.startswith(
        "! copies: s3://copies: 503 SlowDown; what is cut is in the spool alone"
    )
    assert last == "+ copies: s3://copies takes them again"


async def test_what_is_done_with_while_its_place_fails_is_not_tried_again(here: Here) -> None:
    here.place.failing = True
    here.add("t/1/x.slice")
    await settle()
    here.copies.remove("t/1/x.slice")
    await settle()
    here.clock.advance(BACKOFF.most)
    await settle()
    assert here.verbs().count("put") == 1


async def test_a_deletion_that_fails_is_tried_until_it_is_done_and_told_once(
    here: Here, caplog: pytest.LogCaptureFixture
) -> None:
    (key,) = others(here, 1)
    here.copies.claim(key)
    here.place.failing = True
    here.copies.remove(key)
    for _ in range(6):
        await settle()
        here.clock.advance(BACKOFF.most)
    assert here.verbs().count("delete") >= 5
    here.place.failing = False
    here.clock.advance(BACKOFF.most)
    await settle()
    assert (here.place.there, here.copies.left) == ({}, 0)
    assert caplog.messages == [
        "! copies: s3://copies: 503 SlowDown; who has the tasks next may deliver slices once more,"
        " each with the same bytes",
        "+ copies: s3://copies deletes them again",
    ]
    here.place.there[key] = b"another's again"
    assert await all_of(here.copies, 1) == [(key, b"another's again")], "it is claimed no longer"


async def test_deletions_that_wait_are_bounded_and_what_is_left_is_counted(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNDELETED", 2)
    keys = others(here, 4)
    here.place.failing = True
    for key in keys:
        here.copies.claim(key)
        here.copies.remove(key)
    await settle()
    assert here.copies.left == 2
    here.place.failing = False
    here.clock.advance(BACKOFF.most)
    await settle()
    left = [(key, key.encode()) for key in sorted(here.place.there)]
    assert len(left) == 2
    assert sorted(await all_of(here.copies, 1)) == left, "who has the task next finds them"


async def test_deletions_are_bounded_though_none_has_failed_yet(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNDELETED", AT_ONCE + 2)
    keys, answers = others(here, AT_ONCE + 5), asyncio.Event()
    delete = here.place.delete

    async def hang(key: str) -> None:
        await answers.wait()
        await delete(key)

    here.place.delete = hang  # type: ignore[method-assign]
    for key in keys:
        here.copies.claim(key)
        here.copies.remove(key)
        await settle()
    assert here.copies.left == 3
    answers.set()
    await settle()
    assert list(here.place.there) == keys[-3:]
    assert [key for key, _ in await all_of(here.copies, 1)] == keys[-3:]


async def test_others_are_found_up_to_an_epoch_and_its_own_are_not(here: Here) -> None:
    own, other = here.copies, Copies(here.place, here.clock)
    keys = {
        epoch: other.key("task", epoch, f"task/ada/{epoch}.ogg") + ".slice" for epoch in (1, 2, 3)
    }
    for epoch, key in keys.items():
        here.place.there[key] = b"%d" % epoch
    here.place.there[own.key("task", 1, "mine") + ".slice"] = b"mine"
    here.place.there["task/no-epoch/x.slice"] = b"not ours"
    assert await all_of(own, 2) == [(keys[1], b"1"), (keys[2], b"2")]
    assert await all_of(other, 3) == [(own.key("task", 1, "mine") + ".slice", b"mine")]


async def all_of(copies: Copies, epoch: int) -> list[tuple[str, bytes]]:
    return [found async for found in copies.of_others("task", epoch)]


def others(here: Here, count: int) -> list[str]:
    """Copies that another process has left."""
    other = Copies(here.place, here.clock)
    keys = [other.key("task", 1, f"{number}") + ".slice" for number in range(count)]
    here.place.there.update((key, key.encode()) for key in keys)
    return keys


async def test_few_are_read_ahead_of_who_takes_them(here: Here) -> None:
    keys = others(here, 5 * AT_ONCE)
    async with aclosing(here.copies.of_others("task", 1)) as found:
        taken = [(await anext(found))[0] for _ in range(3)]
        await settle()
        assert here.verbs().count("read") == 2 + AT_ONCE
    assert taken == keys[:3], "in their order"
    await settle()
    assert here.verbs().count("read") == 2 + AT_ONCE, "who stops reads no more"


async def test_one_whose_slice_is_here_is_not_even_read(here: Here) -> None:
    keys = others(here, 3)
    here.copies.claim(keys[0])
    assert [key for key, _ in await all_of(here.copies, 1)] == keys[1:]
    assert f"read {keys[0]}" not in here.place.asked
    here.place.failing = True  # its slice is stored, and its copy still there
    here.copies.remove(keys[0])
    await settle()
    here.place.failing = False
    assert [key for key, _ in await all_of(here.copies, 1)] == keys[1:]
    here.clock.advance(BACKOFF.most)
    await settle()
    assert keys[0] not in here.place.there
    here.place.there[keys[0]] = b"new"  # what is done with is remembered no longer
    assert (keys[0], b"new") in await all_of(here.copies, 1)


async def test_one_that_is_stored_while_others_are_listed_is_not_taken(here: Here) -> None:
    keys = others(here, 3)
    here.copies.claim(keys[2])
    listed = here.place.keys

    async def slow(under: str) -> list[str]:
        found = list(await listed(under))
        here.copies.remove(keys[2])
        await settle()
        here.place.there[keys[2]] = b"as a store that still shows what is gone"
        return found

    here.place.keys = slow  # type: ignore[method-assign]
    assert [key for key, _ in await all_of(here.copies, 1)] == keys[:2]


async def test_one_that_goes_while_it_is_read_is_left_out(here: Here) -> None:
    other = Copies(here.place, here.clock)
    key = other.key("task", 1, "x") + ".slice"
    here.place.there[key] = b"x"
    read, here.place.read = here.place.read, partial(_gone, here.place)  # type: ignore[method-assign]
    assert await all_of(here.copies, 1) == []
    here.place.read = read  # type: ignore[method-assign]


async def _gone(place: ScriptedPlace, key: str) -> bytes | None:
    place.there.pop(key)
    return None


async def test_closing_waits_for_nothing_that_fails(here: Here) -> None:
    here.place.failing = True
    here.add("t/1/x.slice")
    await settle()
    await here.copies.close()
    assert (here.place.asked, len(here.copies)) == (["put t/1/x.slice"], 0)


async def test_a_record_that_cannot_be_read_just_now_is_tried_again(
    here: Here, caplog: pytest.LogCaptureFixture
) -> None:
    error = OSError(errno.EMFILE, "Too many open files")
    answers: list[OSError | bytes] = [error, b"record"]

    async def read() -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    here.copies.add("t/1/x.slice", read)
    await settle()
    assert (here.copies.failures, len(here.copies), here.place.asked) == (1, 1, [])
    assert "the spool cannot be read: Too many open files" in caplog.text
    here.clock.advance(BACKOFF.after_failure(1, 1.0))
    await settle()
    assert here.place.there == {"t/1/x.slice": b"record"}


async def test_closing_while_one_that_failed_is_removed(here: Here) -> None:
    here.place.failing = True
    here.add("t/1/x.slice")
    await settle()
    here.copies.remove("t/1/x.slice")  # it is told to end, and has not ended yet
    await here.copies.close()
    assert len(here.copies) == 0
