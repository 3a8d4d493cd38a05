"""Our offers to a LiveKit server, one at a time."""

from livekit.protocol import rtc

from slicer.rooms.livekit.negotiation import Negotiation, offered
from slicer.rtp.parameters import OPUS, Kind, RtpParameters
from slicer.slicing.bundle import MAX_SECTIONS
from slicer.webrtc.connection import Connection, Events, Network
from slicer.webrtc.path import media_path
from slicer.webrtc.sdp import parse
from tests.harness.rooms.descriptions import answer


async def test_one_offer_at_a_time() -> None:
    sent: list[rtc.SignalRequest] = []
    media = media_path().open(lambda _cut: None)
    events = Events(lambda: None, lambda _reason: None)
    connection = Connection(Network(["127.0.0.1"], connect_timeout=0.1), media, events)
    negotiation = Negotiation(connection, sent.append)

    def answered(number: int, **tracks: str) -> rtc.SessionDescription:
        mids = {mid.removeprefix("m"): sid for mid, sid in tracks.items()}
        sdp = answer(sent[-1].offer.sdp)
        return rtc.SessionDescription(type="answer", sdp=sdp, id=number, mid_to_track_id=mids)

    await negotiation.require(1, 1)
    await negotiation.require(1, 0)
    await negotiation.require(0, 1)
    assert [len(parse(one.offer.sdp).sections) for one in sent] == [2]
    assert await negotiation.accept(rtc.SessionDescription(id=7)) is None  # to none of ours
    assert await negotiation.accept(answered(1)) == {}
    assert [len(parse(one.offer.sdp).sections) for one in sent] == [2, 4]
    sections = await negotiation.accept(answered(2, m0="TR_a", m3="TR_v", m9="TR_x"))
    assert sections is not None
    assert {sid: section.mid for sid, section in sections.items()} == {"TR_a": "0", "TR_v": "3"}
    assert await negotiation.accept(answered(2)) is None  # nothing is waited for
    await negotiation.require(0, 0)
    await negotiation.again()
    assert [one.offer.id for one in sent] == [1, 2, 3, 4]
    assert negotiation.offer.id == 4
    assert negotiation.answer.id == 2
    assert len(parse(sent[-1].offer.sdp).sections) < MAX_SECTIONS
    await connection.close()


def test_the_track_of_each_m_line_of_an_offer() -> None:
    """By its MID where the server says so, else by the msid; who has neither is nobody's."""
    media = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=sendonly\r\n"
    sdp = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" + "".join(
        f"{media}a=mid:{mid}\r\n{more}"
        for mid, more in (
            ("0", "a=msid:ada TR_said\r\n"),
            ("1", "a=msid:bob TR_b\r\n"),
            ("2", "a=msid:alone\r\n"),
            ("3", ""),
        )
    )
    streams = [RtpParameters(mid=mid, kind=Kind.AUDIO, codecs={111: OPUS}) for mid in "0123"]
    offer = rtc.SessionDescription(type="offer", sdp=sdp, mid_to_track_id={"0": "TR_a"})
    found = {track: stream.mid for track, stream in offered(offer, streams).items()}
    assert found == {"TR_a": "0", "TR_b": "1"}
