"""What every store must do, held against each one: a folder, and S3, COS, OSS, GCS and Azure, which
put into a real SeaweedFS, all but S3 by way of fronts that check their signatures."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from slicer.errors import StorageRefused
from slicer.storage import VENDORS, Receipt, Storage, open_storage, s3_fast
from slicer.storage.keys import PROBE_KEY
from tests.harness.storage import objects
from tests.harness.storage.seaweed import WRITER, Seaweed

OGG = "audio/ogg"
numbers = itertools.count()


@dataclass(frozen=True)
class OpenStore:
    """A store under test, and a way to look into it that is not its own."""

    store: Storage
    read: Callable[[str], bytes]
    listing: Callable[[], list[str]]
    opaque: bool = False
    """Whether its ETags say nothing of the bytes."""

    def receipt(self, key: str, data: bytes) -> Receipt:
        """What it must say of these bytes; the front for Azure makes an ETag of the MD5."""
        digest = hashlib.md5(data).hexdigest()
        return Receipt(key, len(data), f"0x{digest[:16].upper()}" if self.opaque else digest)


def open_folder(folder: Path) -> OpenStore:
    def listing() -> list[str]:
        return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]

    return OpenStore(
        open_storage(folder.as_uri()), lambda key: (folder / key).read_bytes(), listing
    )


def open_bucket(request: pytest.FixtureRequest, vendor: str) -> OpenStore:
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    target = objects.target(request, vendor)
    bucket, prefix = seaweed.make_bucket(target.bucket), f"pre fix/{next(numbers)}"

    def listing() -> list[str]:
        return [key.removeprefix(f"{prefix}/") for key in seaweed.keys(bucket, f"{prefix}/")]

    store = open_storage(target.url(prefix), target.credentials())
    opaque = vendor == "az"
    return OpenStore(store, lambda key: seaweed.read(bucket, f"{prefix}/{key}")[0], listing, opaque)


@pytest.fixture(params=[*sorted(VENDORS.keys() - {"null"}), "s3 without obstore"])
async def opened(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OpenStore]:
    vendor, _, slow = request.param.partition(" ")
    if slow:
        monkeypatch.setattr(s3_fast, "FAST", False)
    folder = tmp_path / "a folder"
    store = open_folder(folder) if vendor == "file" else open_bucket(request, vendor)
    yield store
    await store.store.close()


async def test_what_is_put_is_there(opened: OpenStore) -> None:
    data = bytes(range(256)) * 40
    got = await opened.store.put("task/anna/audios/1400_room_anna_20250106143143.ogg", data, OGG)
    assert got == opened.receipt("task/anna/audios/1400_room_anna_20250106143143.ogg", data)
    assert opened.read("task/anna/audios/1400_room_anna_20250106143143.ogg") == data


async def test_a_second_put_replaces_the_first(opened: OpenStore) -> None:
    await opened.store.put("a/b", b"first, and longer", OGG)
    await opened.store.put("a/b", b"second", OGG)
    assert opened.read("a/b") == b"second"
    assert opened.listing() == ["a/b"]


@pytest.mark.parametrize(
    "key",
    [
        "房间/主播一/audios/片段.ogg",
        "Zoë/🎙️.ogg",
        "a+b/c+d.ogg",
        "with space/and  two.ogg",
        "a%2Fb/100%.ogg",
        "who?what#where&when=now.ogg",
        "quo'te\"s;:@,$!*()[]{}<>|~^`.ogg",
        "...three/..dots.../.hidden",
        "one",
        "/".join(["deep"] * 30),
    ],
)
async def test_a_key_is_kept_as_it_is(opened: OpenStore, key: str) -> None:
    got = await opened.store.put(key, key.encode(), OGG)
    assert got.key == key
    assert opened.read(key) == key.encode()
    assert opened.listing() == [key]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/x",
        "../x",
        "a/../../x",
        "a//b",
        "a/",
        ".",
        "a/./b",
        "nul\0",
        "tab\t",
        "a\\b",
        "..\\x",
        "bad\ud800",
        "x" * 1025,
        "é" * 513,
    ],
)
async def test_a_key_that_is_none_is_refused(opened: OpenStore, key: str) -> None:
    with pytest.raises(StorageRefused, match="not a key"):
        await opened.store.put(key, b"x", OGG)
    assert opened.listing() == []


async def test_facts_may_be_anything(opened: OpenStore) -> None:
    facts = {"task": "t", "anchor": "主播 1\r\nX-Evil: yes", "start": "2025-01-06T14:31:43+00:00"}
    await opened.store.put("a/b", b"x", OGG, facts)
    assert opened.read("a/b") == b"x"


async def test_nothing_is_something(opened: OpenStore) -> None:
    assert await opened.store.put("empty", b"", OGG) == opened.receipt("empty", b"")
    assert opened.read("empty") == b""


async def test_five_megabytes(opened: OpenStore) -> None:
    data = hashlib.shake_256(b"seed").digest(5 * 1024 * 1024)
    assert await opened.store.put("large", data, OGG) == opened.receipt("large", data)
    assert opened.read("large") == data


async def test_many_at_once(opened: OpenStore) -> None:
    data = {f"anchor-{i % 5}/{i}.ogg": str(i).encode() * 500 for i in range(40)}
    puts = [opened.store.put(key, value, OGG) for key, value in data.items()]
    assert await asyncio.gather(*puts) == [
        opened.receipt(key, value) for key, value in data.items()
    ]
    assert {key: opened.read(key) for key in opened.listing()} == data


async def test_many_at_once_of_one_key_leave_one_whole(opened: OpenStore) -> None:
    candidates = [bytes([i]) * 30_000 for i in range(12)]
    await asyncio.gather(*(opened.store.put("same", each, OGG) for each in candidates))
    assert opened.read("same") in candidates
    assert opened.listing() == ["same"]


async def test_check_finds_no_fault_and_leaves_nothing(opened: OpenStore) -> None:
    await opened.store.check()
    assert PROBE_KEY not in opened.listing()


async def test_a_put_does_not_hold_the_loop(opened: OpenStore) -> None:
    """The loop turns while a put is under way: blocking it would give no turn at all."""
    put = asyncio.ensure_future(opened.store.put("x", bytes(2_000_000), OGG))
    turns = 0
    while not put.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 20


async def test_a_closed_store_takes_nothing(opened: OpenStore) -> None:
    await opened.store.put("before", b"x", OGG)
    await opened.store.close()
    await opened.store.close()
    with pytest.raises(StorageRefused, match="closed") as caught:
        await opened.store.put("after", b"x", OGG)
    assert caught.value.key == "after"
    assert opened.listing() == ["before"]


async def test_closing_waits_for_what_is_under_way(opened: OpenStore) -> None:
    puts = [asyncio.ensure_future(opened.store.put(f"{i}", b"x", OGG)) for i in range(10)]
    await asyncio.sleep(0)
    await opened.store.close()
    await asyncio.gather(*puts)
    assert sorted(opened.listing()) == sorted(str(i) for i in range(10))


async def test_the_label_is_a_place_without_secrets(opened: OpenStore) -> None:
    for shown in (opened.store.label, repr(opened.store), str(vars(opened.store))):
        assert WRITER.secret_key not in shown
        assert "PRIVATE KEY" not in shown
        assert WRITER.access_key not in shown
    assert urlsplit(opened.store.label).scheme in VENDORS


@pytest.mark.parametrize("vendor", ["s3", "s3 without obstore", "cos", "oss"])
async def test_a_link_opens_the_object_to_anyone(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, vendor: str
) -> None:
    vendor, _, slow = vendor.partition(" ")
    if slow:
        monkeypatch.setattr(s3_fast, "FAST", False)
    target = objects.target(request, vendor)
    request.getfixturevalue("seaweed").make_bucket(target.bucket)
    store = open_storage(target.url("links", more="link=60"), target.credentials())
    data = b"for everybody"
    url = urlsplit((await store.put("房间/a b+c%.ogg", data, OGG)).url)
    await store.close()
    front = urlsplit(target.endpoint)
    there = f"{front.scheme}://{front.netloc}{url.path}"
    async with httpx.AsyncClient(headers={"Host": url.netloc}) as client:
        answer = await client.get(f"{there}?{url.query}")
        assert (answer.status_code, answer.content) == (200, data)
        assert (await client.get(f"{there}x?{url.query}")).status_code == 403
        assert (await client.get(there)).status_code == 403


async def test_no_link_is_made_that_nobody_asked_for(opened: OpenStore) -> None:
    assert (await opened.store.put("a", b"x", OGG)).url == ""
