"""From datagrams to image files: every video codec gives the frame that was due, in any size."""

from functools import cache

import pytest

from slicer.media import picture
from slicer.media.decoder import GroupDecoder
from slicer.rtp.parameters import Codec, Kind, RtpParameters
from slicer.slicing.outputs import PictureCut, TrackKey
from slicer.slicing.spec import ImageFormat, VideoSpec
from tests.harness.media.encoder import encode_pictures, psnr, read_image
from tests.harness.media.picture import Painter, Rgb, read_frame_number
from tests.harness.rtp.packetize import Sender
from tests.harness.rtp.parts import VIDEO, bundle_of

FPS, TICKS = 15, 6000
TRACK = TrackKey("task", "ann", Kind.VIDEO)
SIZES = [(320, 180), (640, 360), (1280, 720), (642, 362)]


def drawn(number: int, width: int, height: int) -> Rgb:
    return Painter(width=width, height=height, fps=FPS).draw(number)


@cache
def cuts_of(codec: str, width: int, height: int) -> list[PictureCut]:
    """The pictures due every second, of a sender that cannot be asked for keyframes."""
    units = encode_pictures(codec, [drawn(number, width, height) for number in range(2 * FPS + 2)])
    line = RtpParameters(Kind.VIDEO, {96: Codec(codec, 90_000)})
    bundle, sender = bundle_of("ann", [line]), Sender(codec)
    outputs = bundle.attach(TRACK, VideoSpec(1), 0.0)
    for index, data in enumerate(units):
        outputs += bundle.receive([*sender.send(data, index * TICKS)], index / FPS)
    outputs += bundle.flush(len(units) / FPS)
    return [one for one in outputs if isinstance(one, PictureCut)]


@pytest.mark.parametrize("images", ImageFormat)
@pytest.mark.parametrize(
    ("codec", "width", "height"),
    [*((codec, 320, 180) for codec in sorted(VIDEO)), *(("h265", *size) for size in SIZES[1:])],
)
def test_the_frames_due_are_the_pictures(
    codec: str, width: int, height: int, images: ImageFormat
) -> None:
    decoder = GroupDecoder(codec)
    made = [
        picture.write(codec, cut.frames, images, decoder=decoder)
        for cut in cuts_of(codec, width, height)
    ]
    assert [(one.width, one.height) for one in made] == [(width, height)] * 3
    seen = [read_image(one.data) for one in made]
    assert [read_frame_number(one) for one in seen] == [0, FPS, 2 * FPS]
    for index, one in enumerate(seen):
        assert psnr(one, drawn(index * FPS, width, height)) > 28
