"""Our offers to a LiveKit server, one at a time."""

from livekit.protocol import rtc

from slicer.rooms.livekit.negotiation import Negotiation
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
