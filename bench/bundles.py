"""CPU a packet of 25 anchors by one connection, as LiveKit sends them, against 25 connections.

`python -m bench.bundles [--anchors N] [--seconds S]`: Opus and VP8 of each, an audio slice every
5 s and a picture every 2 s, without sockets and SRTP: what the core costs, in the plane that
`slicer.hot` has chosen (SLICER_NATIVE=0: the reference). Sources are named by the description and
packets bring no MID. A look is every 0.1 s, as the plane's is.
"""

import argparse
import time
from collections.abc import Sequence

from slicer.hot import IMPLEMENTATION, Bundle
from slicer.rtp.parameters import OPUS, VP8, Kind, RtpParameters
from slicer.slicing.outputs import AudioCut, PictureCut, TrackKey
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.rtp.call import Sender

LOOK = 0.1
FEEDBACK = frozenset({"nack", "nack pli"})
ROUNDS = 3

Packet = tuple[float, int, bytes]
"""When it comes, of which anchor, and its bytes."""


def sections(anchor: int) -> list[RtpParameters]:
    """The two m-lines of one anchor; an SFU gives all the same payload types."""
    audio, video = 2 * anchor + 1, 2 * anchor + 2
    return [
        RtpParameters(Kind.AUDIO, {111: OPUS}, feedback=FEEDBACK, mid=f"{audio}", ssrcs=(audio,)),
        RtpParameters(Kind.VIDEO, {96: VP8}, feedback=FEEDBACK, mid=f"{video}", ssrcs=(video,)),
    ]


def packets(anchors: int, seconds: float) -> list[Packet]:
    """All that is sent, in order: a keyframe each second, so nobody need be asked."""
    sent: list[Packet] = []
    for anchor in range(anchors):
        audio, video = sections(anchor)
        voice = Sender(audio, ssrc=audio.ssrcs[0])
        camera = Sender(video, ssrc=video.ssrcs[0], every=1 / 15, size=1000, mtu=1100, group=15)
        for sender in (voice, camera):
            sender.next_at = 0.001 * anchor
            sent += ((when, anchor, data) for when, data in sender.send(seconds))
    return sorted(sent)


def run(batches: Sequence[tuple[float, dict[int, list[bytes]]]], anchors: int, one: bool) -> float:
    """Seconds of CPU for all of it, by *one* bundle or by one for each anchor."""
    bundles = [Bundle(number + 1) for number in range(1 if one else anchors)]
    for anchor in range(anchors):
        bundle = bundles[0 if one else anchor]
        bundle.set_sections(f"{anchor}", sections(anchor), 0.0)
        for kind, spec in ((Kind.AUDIO, AudioSpec(5)), (Kind.VIDEO, VideoSpec(2))):
            bundle.attach(TrackKey("task", f"{anchor}", kind), spec, 0.0)
    cuts = 0
    began = time.process_time()
    for now, batch in batches:
        for number, bundle in enumerate(bundles):
            if data := batch.get(0 if one else number):
                given = bundle.receive(data, now)
                cuts += sum(isinstance(each, AudioCut | PictureCut) for each in given)
    spent = time.process_time() - began
    assert cuts >= anchors, "nothing was cut"
    return spent


def batched(sent: Sequence[Packet], one: bool) -> list[tuple[float, dict[int, list[bytes]]]]:
    """What comes between two looks, by the bundle that it comes to."""
    found: dict[int, dict[int, list[bytes]]] = {}
    for when, anchor, data in sent:
        batch = found.setdefault(int(when / LOOK), {})
        batch.setdefault(0 if one else anchor, []).append(data)
    return [((number + 1) * LOOK, batch) for number, batch in sorted(found.items())]


def main(anchors: int, seconds: float) -> None:
    """Measure both in turns; the best of each is told."""
    sent = packets(anchors, seconds)
    for one in (True, False):
        batches = batched(sent, one)
        best = min(run(batches, anchors, one) for _ in range(ROUNDS))
        how = "one bundle" if one else f"{anchors} bundles"
        print(f"{IMPLEMENTATION}, {how}: {1e6 * best / len(sent):.2f} us a packet")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.bundles", description=__doc__)
    parser.add_argument("--anchors", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    main(given.anchors, given.seconds)
