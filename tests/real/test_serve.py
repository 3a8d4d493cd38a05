"""A customer's program from create to the last callback: Tencent's SDK, two anchors, a store.

All of it is real: `slicer serve` as a process, publishers, SeaweedFS, the receiver of callbacks.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio

from slicer.cli.exits import STORED
from slicer.demo.publisher import VideoCodec, publish
from tests.harness.media.picture import is_grey, read_frame_number
from tests.harness.media.slices import decode_ogg, read_picture
from tests.harness.service.api import seed
from tests.harness.service.customer import (
    APP,
    CALLBACK_KEY,
    KEY,
    KEY_ID,
    SECRETS,
    USERSIG_KEY,
    bucket,
    configuration,
    usersig,
)
from tests.harness.service.sdk import Sdk
from tests.harness.service.serve import serve
from tests.harness.service.webhook_receiver import Receiver, receiver
from tests.harness.storage.seaweed import REGION, WRITER, Seaweed, free_ports

SAMPLES = Path(__file__).parents[2] / "samples"
ANCHORS: tuple[tuple[str, str, VideoCodec], ...] = (
    ("ada", "anchor-blue.webm", "VP8"),
    ("bo", "anchor-amber.mp4", "H264"),
)
BUCKET = "serve"
OPTIONS = {
    "SLICER_VENDORS_LINKS": "3600",
    "SLICER_VENDORS_ETAGS": "true",
    "SLICER_OUTBOX_CHECKSUMS": "true",
}
"""What 1004 tells beside what TRTC's own does."""
AUDIO, VIDEO = 1, 2
WHOLE_MS = 15_000
SAMPLES_PER_MS = 48
AGREE_MS = 1_000
"""Within which a change of the lists has to be heard."""
PICTURE_MS = 2_000
AT_ONCE_MS = 1_000
PATIENCE = 40.0


def lists(user: str) -> dict[str, list[str]]:
    """The lists that block one anchor."""
    return {"UnSubscribeAudioUserIds": [user], "UnSubscribeVideoUserIds": [user]}


def order() -> str:
    """The seed's example, for our robot, our bucket, and everybody but bo."""
    params = {"SliceType": 3, "MaxIdleTime": 30, "SliceAudio": 15, "SliceVideo": 5}
    body = seed("CreateCloudSliceTask") | {
        "UserSig": usersig("inspect"),
        "SliceParams": params | {"SliceImageType": 1, "SubscribeStreamUserIds": lists("bo")},
        "SliceStorageParams": {"CloudSliceStorage": bucket(BUCKET, "prefix1")},
    }
    return json.dumps(body)


@dataclass
class Customer:
    """A program of a customer: calls about one task, and what was told of it."""

    sdk: Sdk
    hook: Receiver
    task: str = ""
    answers: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    async def call(self, action: str, **more: object) -> Mapping[str, Any]:
        """Call with the task's id; the last answer of each action is kept."""
        body = json.dumps({"SdkAppId": APP, "TaskId": self.task} | more)
        (self.answers[action],) = await self.sdk.call((f"{action}CloudSliceTask", body))
        return self.answers[action]

    async def until_told(self, anchor: str, media: int, count: int = 1, lasting: int = 0) -> None:
        """Wait for so many files of an anchor, each of *lasting* ms at least."""

        def done() -> bool:
            files = self.files(anchor, media)
            return len([file for file in files if file["DurationMs"] >= lasting]) >= count

        await self.hook.until(done, PATIENCE)

    def files(self, anchor: str = "", media: int = 0) -> list[Mapping[str, Any]]:
        """The payloads of stored files, perhaps of one anchor and one MediaType, by time."""
        found = [
            info["Payload"]
            for info in (one.told["EventInfo"] for one in self.hook.received if one.event == 1004)
            if anchor in {"", info["StreamUserId"]} and media in {0, info["Payload"]["MediaType"]}
        ]
        return sorted(found, key=lambda file: int(file["StartTimeMs"]))

    def payload(self, event: int) -> Mapping[str, Any]:
        """What an event that comes once said."""
        (one,) = [one for one in self.hook.received if one.event == event]
        said: Mapping[str, Any] = one.told["EventInfo"]["Payload"]
        return said


@dataclass(frozen=True)
class Story:
    """What came of it. *written*: all in state, spool and log, before it ended and after."""

    customer: Customer
    written: Mapping[str, bytes]
    code: int | None


def all_written(folder: Path, when: str) -> dict[str, bytes]:
    """Every file of the service: all but its settings."""
    paths = [path for name in ("state", "spool") for path in (folder / name).rglob("*")]
    return {
        f"{when}: {path.relative_to(folder)}": path.read_bytes()
        for path in (folder / "serve.log", *paths)
        if path.is_file()
    }


async def play(customer: Customer, rooms: int) -> None:
    """Two anchors speak; the lists are turned round; the task is deleted while both speak."""
    (made,) = await customer.sdk.call(("CreateCloudSliceTask", order()))
    assert "TaskId" in made, made
    customer.task = made["TaskId"]
    anchors = []
    try:
        for user, sample, codec in ANCHORS:
            url = f"http://127.0.0.1:{rooms}/whip/150/{user}"
            file = SAMPLES / sample
            anchors.append(await publish(url, file, video_codec=codec, bearer=usersig(user)))
        await customer.until_told("ada", AUDIO, lasting=WHOLE_MS)
        assert (await customer.call("Describe"))["Status"] == "InProgress"
        await customer.call("Modify", SubscribeStreamUserIds=lists("ada"))
        await customer.until_told("bo", VIDEO, 2)
        await customer.call("Delete")
        await customer.hook.until(lambda: customer.hook.received[-1].event == 1005, PATIENCE)
        await customer.call("Describe")
    finally:
        await asyncio.gather(*(anchor.close() for anchor in anchors))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(seaweed: Seaweed, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Story]:
    folder = tmp_path_factory.mktemp("serve")
    seaweed.make_bucket(BUCKET)
    (rooms,) = free_ports(1)
    async with receiver(CALLBACK_KEY) as hook:
        config = configuration(rooms, hook.url, folder, seaweed.endpoint)
        async with serve(config, folder, secrets=SECRETS | OPTIONS) as served:
            customer = Customer(Sdk(served.port, "trtc", KEY_ID, KEY), hook)
            await play(customer, rooms)
            written = all_written(folder, "running")
            await served.end()
        yield Story(customer, written | all_written(folder, "ended"), served.process.returncode)


@pytest.fixture
def customer(story: Story) -> Customer:
    return story.customer


def test_an_anchor_put_on_the_blocklist_stops_within_a_second(customer: Customer) -> None:
    modify = customer.answers["Modify"]
    assert "TaskId" in modify, modify
    end = customer.files("ada", AUDIO)[-1]["EndTimeMs"]
    assert modify["called"] - AGREE_MS < end < modify["returned"] + AGREE_MS
    assert customer.files("ada", VIDEO)[-1]["EndTimeMs"] < modify["returned"] + AGREE_MS
    # She spoke on for long enough to show it.
    assert customer.answers["Delete"]["called"] > modify["returned"] + 2 * AGREE_MS


def test_an_anchor_taken_off_the_blocklist_starts_within_a_second(customer: Customer) -> None:
    modify = customer.answers["Modify"]
    sound, picture = customer.files("bo", AUDIO)[0], customer.files("bo", VIDEO)[0]
    # Times are those of capture: what was on its way at the call may start before it.
    assert modify["called"] - AGREE_MS < sound["StartTimeMs"] < modify["returned"] + AGREE_MS
    assert modify["called"] - AGREE_MS < picture["StartTimeMs"] < modify["returned"] + PICTURE_MS


def test_delete_answers_at_once_and_then_the_task_has_finished(customer: Customer) -> None:
    deleted = customer.answers["Delete"]
    assert deleted["TaskId"] == customer.task
    assert deleted["returned"] - deleted["called"] < AT_ONCE_MS
    assert customer.answers["Describe"]["code"] == "FailedOperation.TaskFinished"


def test_callbacks_are_signed_and_in_order(customer: Customer) -> None:
    received = customer.hook.received
    assert all(one.signed and one.headers["sdkappid"] == str(APP) for one in received)
    assert [one.told["EventInfo"]["Payload"] for one in received if one.event == 1006] == []
    events = [one.event for one in received]
    assert events[:3] == [1001, 1003, 1004]
    assert events[-1] == 1005
    assert sorted({*events}) == [1001, 1002, 1003, 1004, 1005]
    assert [events.count(once) for once in (1001, 1002, 1003, 1005)] == [1, 1, 1, 1]
    assert [customer.payload(event)["Status"] for event in (1001, 1003, 1005)] == [0, 0, 0]
    assert customer.payload(1002)["LeaveCode"] == 0


def test_callbacks_name_the_task_as_it_was_ordered(customer: Customer) -> None:
    for one in customer.hook.received:
        info = one.told["EventInfo"]
        assert one.told["EventGroupId"] == 10
        assert info["RoomId"] == 150
        assert type(info["RoomId"]) is int
        assert (info["TaskId"], info["UserId"]) == (customer.task, "inspect")


def test_what_was_told_is_what_is_there(customer: Customer, seaweed: Seaweed) -> None:
    files = customer.files()
    names = [file["FileName"] for file in files]
    assert len({*names}) == len(names)
    assert {*names} == {*seaweed.keys(BUCKET)}
    for file in files:
        assert (file["Bucket"], file["Region"], file["Vendor"]) == (BUCKET, REGION, 1)
        assert file["FileName"].startswith(f"prefix1/{customer.task}/")
        assert len(seaweed.read(BUCKET, file["FileName"])[0]) == file["Size"]


def test_whoever_has_the_url_that_was_told_has_the_file(customer: Customer) -> None:
    """By options: the store has signed it, and refuses it without its signature."""
    for file in customer.files():
        answer = httpx.get(file["Url"])
        assert (answer.status_code, len(answer.content)) == (200, file["Size"])
        assert hashlib.sha256(answer.content).hexdigest() == file["Sha256"]
        assert hashlib.md5(answer.content).hexdigest() == file["ETag"]
        assert httpx.get(file["Url"].partition("?")[0]).status_code == 403


def test_sounds_decode_to_exactly_what_was_told(customer: Customer, seaweed: Seaweed) -> None:
    sounds = customer.files(media=AUDIO)
    assert max(file["DurationMs"] for file in sounds) == WHOLE_MS
    for file in sounds:
        samples = decode_ogg(seaweed.read(BUCKET, file["FileName"])[0])
        assert len(samples) == file["DurationMs"] * SAMPLES_PER_MS
        assert file["EndTimeMs"] - file["StartTimeMs"] == file["DurationMs"]
        assert float(np.abs(samples).max()) > 0.05


@pytest.mark.parametrize(("anchor", "blue"), [("ada", True), ("bo", False)])
def test_pictures_show_their_anchor(
    customer: Customer, seaweed: Seaweed, anchor: str, blue: bool
) -> None:
    numbers = []
    for file in customer.files(anchor, VIDEO):
        picture = read_picture(seaweed.read(BUCKET, file["FileName"])[0])
        assert not is_grey(picture)
        red_mean, _, blue_mean = picture.mean(axis=(0, 1))
        assert bool(blue_mean > red_mean) is blue
        numbers.append(read_frame_number(picture))
    assert len(numbers) >= 2
    assert None not in numbers
    assert len({*numbers}) == len(numbers)


def test_no_secret_is_left_anywhere(story: Story) -> None:
    secrets = (KEY, WRITER.secret_key, USERSIG_KEY, CALLBACK_KEY)
    for name, data in story.written.items():
        assert not [secret for secret in secrets if secret.encode() in data], name
    for one in story.customer.hook.received:
        assert not [secret for secret in secrets if secret.encode() in one.body]
    # The registry is among what was looked at, and can be read.
    assert any(b"inspect" in data for data in story.written.values())


def test_the_service_ends_well(story: Story) -> None:
    assert story.code == STORED
    # What waited for the store has left the spool.
    assert not [name for name in story.written if "spool" in name]
