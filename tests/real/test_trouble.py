"""Publishers in trouble, from their packets to the engine's events: each is told, in words."""

import os
import struct
from collections.abc import Callable

import httpx
import pylibsrtp
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.rtp import is_rtcp

from slicer import AnchorTrouble, AudioSpec, PicturesMissing, SliceParams, VideoSpec
from slicer.rooms.trouble import TROUBLES
from slicer.slicing.outputs import Missing
from tests.harness.end_to_end import Studio, studio
from tests.harness.rooms.whip_client import Flicker, Peer, Tone
from tests.harness.storage.seaweed import Seaweed

Change = Callable[[bytes], list[bytes]]
"""An RTP packet as aiortc makes it → what is sent in its place."""
STAP_A, STAP_B, FILLER = 24, 25, 12


def twice(packet: bytes) -> list[bytes]:
    """From a second source as well."""
    return [packet, packet[:8] + bytes([packet[8] ^ 1]) + packet[9:]]


def payload_at(packet: bytes) -> int:
    at = 12 + 4 * (packet[0] & 15)
    if packet[0] & 0x10:
        at += 4 + 4 * int(struct.unpack_from("!H", packet, at + 2)[0])
    return at


def as_stap_b(packet: bytes) -> list[bytes]:
    """H.264 of a packetization that is not read (RFC 6184 5.7.1)."""
    at = payload_at(packet)
    kind = packet[at] & 0xE0 | STAP_B
    return [packet[:at] + bytes([kind]) + packet[at + 1 :]]


def without_parameter_sets(packet: bytes) -> list[bytes]:
    """H.264 whose SPS and PPS are filler, alone or in a STAP-A."""
    changed, at = bytearray(packet), payload_at(packet)
    units, place = [at], at + 1
    while packet[at] & 31 == STAP_A and place + 2 < len(packet):
        units.append(place + 2)
        place += 2 + int.from_bytes(packet[place : place + 2])
    for unit in units:
        if packet[unit] & 31 in {7, 8}:
            changed[unit] = packet[unit] & 0xE0 | FILLER
    return [bytes(changed)]


def change(peer: Peer, how: Change | None) -> None:
    """Send this in place of each RTP packet; None: with keys that nobody agreed on."""
    transport = peer.connection.getSenders()[0].transport
    send = transport._send_rtp  # noqa: SLF001 (aiortc has no verb for it)
    policy = pylibsrtp.Policy(os.urandom(30), pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    other = pylibsrtp.Session(policy)

    async def changed(data: bytes) -> None:
        if how is None:
            transport._tx_srtp = other  # noqa: SLF001 (aiortc has no verb for it)
        for packet in [data] if how is None or is_rtcp(data) else how(data):
            await send(packet)

    transport._send_rtp = changed  # type: ignore[method-assign]  # noqa: SLF001 (the same)


async def publish(stage: Studio, anchor: str, track: MediaStreamTrack, how: Change | None) -> Peer:
    peer = Peer()
    peer.connection.addTrack(track)
    if track.kind == "video":
        codecs = RTCRtpSender.getCapabilities("video").codecs
        h264 = [codec for codec in codecs if codec.mimeType == "video/H264"]
        peer.connection.getTransceivers()[0].setCodecPreferences(h264)
    headers = {"Content-Type": "application/sdp"}
    async with httpx.AsyncClient() as client:
        offer = await peer.offer([])
        answer = await client.post(stage.url(anchor), content=offer, headers=headers)
    assert answer.status_code == 201
    await peer.accept(answer.text)
    change(peer, how)
    return peer


TOLD = {
    "keys": TROUBLES["srtp_authentication"][0],
    "twice": TROUBLES["parallel_ssrc"][0],
    "stap-b": Missing.PACKETIZATION.value,
    "bare": Missing.PARAMETER_SETS.value,
}


async def test_each_is_told_of_its_anchor(seaweed: Seaweed) -> None:
    def told() -> set[tuple[str, str]]:
        troubles = {(event.anchor, event.reason) for event in stage.told(AnchorTrouble)}
        return troubles | {(event.anchor, event.reason) for event in stage.told(PicturesMissing)}

    async with studio(seaweed) as stage:
        task = await stage.slice(SliceParams(AudioSpec(5), VideoSpec(1)))
        peers = [
            await publish(stage, "keys", Tone(), None),
            await publish(stage, "twice", Tone(), twice),
            await publish(stage, "stap-b", Flicker(), as_stap_b),
            await publish(stage, "bare", Flicker(), without_parameter_sets),
        ]
        try:
            await stage.until(lambda: told() >= set(TOLD.items()))
        finally:
            for peer in peers:
                await peer.close()
        await stage.finish(task)
    assert all(event.count >= 10 for event in stage.told(AnchorTrouble))
    assert {anchor for anchor, _ in told()} == TOLD.keys()
