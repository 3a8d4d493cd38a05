"""RTP that is sent to us as a room: who comes, what is cut, and who has left."""

import asyncio
import base64
import os
from collections.abc import Callable
from pathlib import Path

import pylibsrtp
import pytest

from slicer.errors import BadInput, RoomError
from slicer.rooms import parse_room
from slicer.rooms.frames import EncodedFrame
from slicer.rooms.rtp import room as module
from slicer.rooms.rtp import sockets
from slicer.rooms.rtp.room import ENCRYPTED
from slicer.rooms.rtp.settings import RtpSettings
from slicer.rooms.trouble import TROUBLES
from slicer.rtp import rtcp
from slicer.rtp.parameters import Kind
from slicer.rtp.rtcp.feedback import PictureLossIndication
from slicer.slicing.facts import AnchorJoined, AnchorLeft, RoomEntered, TrackPublished
from slicer.slicing.outputs import AnchorTrouble, Subscribe, TrackKey, TrackRefused
from slicer.slicing.spec import AudioSpec
from tests.harness.media.video import encoded
from tests.harness.rooms.rtp_sender import TYPES, Robot, Sender, free_ports, option
from tests.harness.rtp.call import datagram

ARRIVAL = [
    AnchorJoined("ada"),
    TrackPublished("ada", Kind.AUDIO),
    TrackPublished("ada", Kind.VIDEO),
]


@pytest.mark.parametrize("more", ["&rtcp=mux", ""])
async def test_what_is_sent_is_cut(more: str) -> None:
    (port,) = free_ports()
    robot, sender = Robot(), Sender()
    await robot.enter(f"rtp://127.0.0.1:{port}?{TYPES}&anchor=ada{more}")
    assert robot.told == [RoomEntered()]
    assert robot.connector.connections == 0
    control = None if more else port + 1
    for first in range(0, 120, 20):  # what fits into the kernel's buffer
        sender.talk(port, first, 20, control)
        await asyncio.sleep(0.02)
    await robot.until(lambda: len(robot.audio()) == 2)
    assert robot.told == [RoomEntered(), *ARRIVAL]
    assert [(cut.start, cut.end) for cut in robot.audio()] == [(0, 48_000), (48_000, 96_000)]
    assert robot.connector.connections == 1
    robot.room.unsubscribe(TrackKey("t", "ada", Kind.AUDIO))
    assert robot.audio()[-1].end == 120 * 960
    await robot.room.leave()
    assert robot.connector.counters["unroutable"] == 0
    assert robot.connector.counters["packets_media"] == 120 + 3  # a report each second
    sender.close()


async def test_a_keyframe_is_asked_for_where_the_media_comes_from() -> None:
    audio_port, video_port = free_ports(2)
    robot, sender = Robot(), Sender()
    url = f"rtp://127.0.0.1:{audio_port}?{TYPES}&rtcp=mux&video_port={video_port}&anchor=ada"
    await robot.enter(url)
    units = encoded("h264", frames=6, gop=30)
    asked = False
    for number in range(200):
        unit = units[0 if asked and number % 10 == 0 else 1 + number % 5]
        frame = EncodedFrame(Kind.VIDEO, number * 3000, unit.data)
        sender.send(sender.video.packets(frame), video_port)
        await asyncio.sleep(0.03)
        packets = [one for data in sender.received() for one in rtcp.parse(data)]
        asked = asked or any(isinstance(one, PictureLossIndication) for one in packets)
        if robot.pictures():
            break
    assert asked
    assert robot.pictures()
    await robot.connector.close()
    sender.close()


async def test_a_sender_that_is_silent_has_left_and_another_may_come() -> None:
    (port,) = free_ports()
    robot = Robot(RtpSettings(silence=1))
    await robot.enter(f"rtp://127.0.0.1:{port}?{TYPES}&rtcp=mux&anchor=ada")
    first, second = Sender(), Sender("127.0.0.2")
    first.talk(port, 0, 20)
    await robot.until(lambda: len(robot.told) == 4)
    second.talk(port, 0, 2)
    await robot.until(lambda: robot.connector.counters["foreign_source"] == 3)
    await robot.until(lambda: AnchorLeft("ada", "nothing received for 1 s") in robot.told)
    assert [(cut.start, cut.end) for cut in robot.audio()] == [(0, 20 * 960)]
    second.talk(port, 2, 20)
    await robot.until(lambda: len(robot.told) == 8)
    assert robot.told[5:] == ARRIVAL
    await robot.room.leave()
    for one in (first, second):
        one.close()


async def test_a_key_opens_what_is_sent() -> None:
    (port,) = free_ports()
    key = base64.urlsafe_b64encode(bytes(30)).decode().replace("_", "%2F").replace("-", "%2B")
    robot, plain = Robot(), Sender()
    await robot.enter(f"rtp://127.0.0.1:{port}?{TYPES}&rtcp=mux&key={key}")
    plain.talk(port, 0, 2)
    await robot.until(lambda: robot.connector.counters["foreign_source"] == 3)
    assert robot.connector.counters["srtp_malformed"] > 0
    assert robot.told == [RoomEntered()]
    await robot.connector.close()
    plain.close()


async def test_packets_that_no_key_opens_are_told_though_nobody_has_joined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOOK", 0.05)
    monkeypatch.setattr(module, "TROUBLE_LOOK", 0.1)
    (port,) = free_ports()
    key = option(bytes(30))
    robot, plain = Robot(), Sender()
    await robot.enter(f"rtp://127.0.0.1:{port}?{TYPES}&rtcp=mux&anchor=ada&key={key}")
    words, news = TROUBLES["srtp_malformed"]
    plain.talk(port, 0, 2 * news)
    await robot.until(lambda: len(robot.told) == 2)
    (told,) = robot.told[1:]
    assert isinstance(told, AnchorTrouble)
    assert (told.anchor, told.reason) == ("ada", words)
    assert told.count >= news
    await robot.connector.close()
    plain.close()


def sealed(key: bytes = b"") -> Callable[[bytes], bytes]:
    """What makes SRTP of RTP, by this key or one that nobody else has."""
    policy = pylibsrtp.Policy(key or os.urandom(30), pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    session = pylibsrtp.Session(policy)
    return lambda data: session.protect_rtcp(data) if rtcp.is_rtcp(data) else session.protect(data)


@pytest.mark.parametrize("at_once", [1, 20])
async def test_srtp_without_a_key_is_refused_and_not_cut(at_once: int) -> None:
    """And where its sender has gone, another one may come."""
    (port,) = free_ports()
    robot, sender, plain = Robot(RtpSettings(silence=1)), Sender(protect=sealed()), Sender()
    await robot.enter(f"rtp://127.0.0.1:{port}?{TYPES}&rtcp=mux&anchor=ada")
    for first in range(0, 100, at_once):
        sender.talk(port, first, at_once)
        await asyncio.sleep(0.01)
    refused = [TrackRefused("ada", kind, ENCRYPTED) for kind in Kind]
    await robot.until(lambda: robot.connector.counters["encrypted"] > 80)
    told = [one for one in robot.told if one not in ARRIVAL]
    assert told[:3] == [RoomEntered(), *refused]
    assert set(told[3:]) <= {AnchorLeft("ada", ENCRYPTED)}
    assert robot.connector.connections == 0
    await asyncio.sleep(1.2)
    before = len(robot.told)

    def comes() -> bool:
        plain.talk(port, 0, 1)
        return len(robot.told) > before

    await robot.until(comes)
    assert robot.told[before:] == ARRIVAL
    assert robot.cuts == []
    await robot.connector.close()
    for one in (sender, plain):
        one.close()


async def test_a_source_that_takes_over_without_encryption_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sender that was started anew; the room's silence is not over."""
    monkeypatch.setattr(sockets, "MOVES", 0.2)
    (port,) = free_ports()
    robot, sealing, plain = Robot(), Sender(protect=sealed()), Sender()
    await robot.enter(f"rtp://127.0.0.1:{port}?{TYPES}&rtcp=mux&anchor=ada")
    sealing.talk(port, 0, 40)
    await robot.until(lambda: robot.connector.counters["encrypted"] > 0)
    await asyncio.sleep(0.3)
    before = len(robot.told)
    for first in range(0, 120, 20):
        plain.talk(port, first, 20)
        await asyncio.sleep(0.02)
    await robot.until(lambda: len(robot.audio()) == 2)
    assert robot.told[before:] == ARRIVAL
    await robot.connector.close()
    for one in (sealing, plain):
        one.close()


async def test_a_port_without_a_key_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MOVES", 0.2)
    audio_port, video_port = free_ports(2)
    key = base64.b64encode(bytes(30)).decode()
    path = tmp_path / "half.sdp"
    path.write_text(
        f"v=0\nc=IN IP4 127.0.0.1\nm=audio {audio_port} RTP/SAVP 96\na=rtpmap:96 opus/48000/2\n"
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\n"
        f"m=video {video_port} RTP/AVP 97\na=rtpmap:97 H264/90000\n"
    )
    robot, audio, video = Robot(), Sender(protect=sealed(bytes(30))), Sender()
    await robot.enter(f"rtp://{path}?anchor=ada")
    for number in range(130):
        audio.talk(audio_port, number, 1)
        video.send([datagram(os.urandom(90), number, number * 3000, 2, 97)], video_port)
        await asyncio.sleep(0.002)
    await robot.until(lambda: any(cut.start for cut in robot.audio()))
    left = AnchorLeft("ada", ENCRYPTED)
    refused = TrackRefused("ada", Kind.VIDEO, ENCRYPTED)
    assert robot.told == [RoomEntered(), *ARRIVAL, refused, left, *ARRIVAL[:2]]
    assert robot.connector.counters["encrypted"] >= 60
    await asyncio.sleep(0.3)
    honest = Sender()
    honest.send([datagram(b"\x65" + bytes(90), 0, 0, 3, 97)], video_port)
    await robot.until(lambda: len(robot.told) == 12)
    assert isinstance(robot.told[8], AnchorLeft)
    assert robot.told[9:] == ARRIVAL, "with what another source sends to that port"
    await robot.connector.close()
    for one in (audio, video, honest):
        one.close()


async def test_what_goes_wrong_is_told_before_the_sender_has_left() -> None:
    (port,) = free_ports()
    robot, sender = Robot(RtpSettings(silence=0.5)), Sender()
    await robot.enter(f"rtp://127.0.0.1:{port}?{TYPES}&rtcp=mux&anchor=ada")
    words, news = TROUBLES["unknown_payload_type"]
    sender.talk(port, 0, 5)
    sender.send([datagram(b"x", number, 0, 9, 77) for number in range(2 * news)], port)
    await robot.until(lambda: isinstance(robot.told[-1], AnchorLeft))
    assert AnchorTrouble("ada", words, 2 * news) in robot.told[:-1]
    await robot.connector.close()
    sender.close()


async def test_what_a_description_has_more_is_refused_by_name(tmp_path: object) -> None:
    (port,) = free_ports()
    path = f"{tmp_path}/a.sdp"
    text = "v=0\nc=IN IP4 127.0.0.1\n" + "".join(
        f"m=audio {port} RTP/AVP {pt}\na=rtpmap:{pt} opus/48000/2\n" for pt in (96, 97)
    )
    await asyncio.to_thread(_write, path, text)
    robot = Robot()
    robot.connector.check(parse_room(f"rtp://{path}"))
    await robot.enter(f"rtp://{path}?anchor=ada")
    reason = "a second audio m-line: the first one is taken"
    assert robot.told == [RoomEntered(), TrackRefused("ada", Kind.AUDIO, reason)]
    await robot.connector.close()
    with pytest.raises(BadInput, match="room"):
        robot.connector.check(parse_room("rtp://127.0.0.1"))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


async def test_ports_that_are_taken_and_rooms_that_were_left() -> None:
    audio_port, video_port = free_ports(2)
    robot, other = Robot(), Robot()
    await robot.enter(f"rtp://127.0.0.1:{video_port}?{TYPES}")
    with pytest.raises(RoomError, match=f"port {video_port}: Address already in use"):
        await other.enter(f"rtp://127.0.0.1:{audio_port}?{TYPES}&video_port={video_port}")
    await other.room.leave()
    with pytest.raises(RoomError, match="left"):
        await other.room.enter()
    robot.room.subscribe(Subscribe(TrackKey("t", "rtp", Kind.AUDIO), AudioSpec(1)))
    robot.room.unsubscribe(TrackKey("t", "rtp", Kind.AUDIO))
    await robot.room.leave()
    await robot.room.leave()
    await robot.enter(f"rtp://127.0.0.1:{video_port}?{TYPES}")
    await robot.connector.close()
