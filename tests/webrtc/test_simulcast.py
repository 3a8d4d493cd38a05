"""Which layers of simulcast are accepted of an offer, and what the answer says of them."""

import pytest

from slicer.rtp.parameters import MAX_LAYERS, MID, REPAIRED_RID, RID
from slicer.webrtc.description import write_answer
from slicer.webrtc.negotiation import negotiate
from slicer.webrtc.sdp import parse
from tests.webrtc.test_negotiation import OURS, TRANSPORT

SENDS = ["a=rid:q send", "a=rid:h send", "a=rid:f send"]
EXTENSIONS = [f"a=extmap:{4 + at} {uri}" for at, uri in enumerate((MID, RID, REPAIRED_RID))]


def answer(*lines: str, extensions: list[str] = EXTENSIONS) -> tuple[tuple[str, ...], list[str]]:
    """The layers agreed on, and the lines about layers of our answer."""
    offer = [
        "v=0",
        "a=group:BUNDLE v",
        *TRANSPORT,
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98",
        "a=mid:v",
        "a=sendonly",
        "a=rtcp-mux",
        "a=rtpmap:96 VP8/90000",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=rtpmap:98 theora/90000",
        *extensions,
        *lines,
    ]
    agreement = negotiate(parse("\n".join(offer)))
    text = write_answer(agreement, OURS, 1)
    told = [line for line in text.split("\r\n") if line.startswith(("a=rid", "a=simulcast"))]
    return agreement.streams[0].rids, told


@pytest.mark.parametrize("order", ["q;h;f", "f;h;q"])
def test_all_layers_are_accepted_in_their_order(order: str) -> None:
    rids, told = answer(*SENDS, f"a=simulcast:send {order}")
    assert rids == tuple(order.split(";"))
    assert told == [*(f"a=rid:{rid} recv" for rid in rids), f"a=simulcast:recv {order}"]


def test_the_extensions_that_name_layers_are_accepted_with_them_alone() -> None:
    offer = ["v=0", *TRANSPORT, "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=rtcp-mux", *EXTENSIONS]
    stream = negotiate(parse("\n".join(offer))).streams[0]
    assert list(stream.extensions.values()) == [MID]
    assert not stream.rids


@pytest.mark.parametrize(
    ("lines", "rids", "told"),
    [
        (["a=simulcast:send q;h"], (), []),
        ([*SENDS], (), []),
        ([*SENDS, "a=simulcast:recv q;h"], (), []),
        ([*SENDS, "a=simulcast:recv x send q;f"], ("q", "f"), ["a=simulcast:recv q;f"]),
        (
            [*SENDS, "a=simulcast:recv x", "a=simulcast:send q;f"],
            ("q", "f"),
            ["a=simulcast:recv q;f"],
        ),
        ([*SENDS, "a=simulcast:send ~f;q,h"], ("f", "q"), ["a=simulcast:recv ~f;q"]),
        ([*SENDS, "a=simulcast:send q;q;;h;none"], ("q", "h"), ["a=simulcast:recv q;h"]),
        ([*SENDS, "a=simulcast:send"], (), []),
        (["a=rid:q recv", "a=rid:f", "a=rid:", "a=simulcast:send q;f"], (), []),
    ],
)
def test_what_does_not_fit_together_is_left_out(
    lines: list[str], rids: tuple[str, ...], told: list[str]
) -> None:
    agreed, answered = answer(*lines)
    assert agreed == rids
    assert [line for line in answered if line.startswith("a=simulcast")] == told
    assert len(answered) == len(told) + len(rids)


def test_restrictions_stay_but_for_payload_types_that_are_not_ours() -> None:
    rids, told = answer(
        "a=rid:a send pt=96,98;max-width=1280;max-height=720",
        "a=rid:b send pt=98",
        "a=rid:c send max-br=300000",
        "a=simulcast:send a;b;c",
    )
    assert rids == ("a", "c")
    assert told == [
        "a=rid:a recv pt=96;max-width=1280;max-height=720",
        "a=rid:c recv max-br=300000",
        "a=simulcast:recv a;c",
    ]


def test_without_the_extension_packets_name_no_layer() -> None:
    """The sender then sends the first layer alone."""
    assert answer(*SENDS, "a=simulcast:send q;h;f", extensions=EXTENSIONS[:1]) == ((), [])


def test_layers_are_bounded_in_number_and_length() -> None:
    names = [str(number) for number in range(3 * MAX_LAYERS)]
    sends = [f"a=rid:{name} send" for name in (*names, "x" * 17)]
    rids, _ = answer(*sends, f"a=simulcast:send {'x' * 17};{';'.join(names)}")
    assert rids == tuple(names[:MAX_LAYERS])
