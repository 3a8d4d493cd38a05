"""How large pictures are as files: `python -m bench.sizes`.

The scene of `bench.peers`, 720p with a camera's noise: a keyframe of H.264 and one of VP8, in each
format that they are written in. A VP8 keyframe becomes WebP as it is.
"""

from bench.peers.capture import CODECS, keyframe
from slicer.media.picture import write
from slicer.slicing.spec import ImageFormat


def sizes() -> dict[tuple[str, ImageFormat], int]:
    """Bytes of the file, by codec and format."""
    keyframes = {codec: keyframe(codec) for codec in CODECS}
    return {
        (codec, image_format): len(write(codec, [data], image_format).data)
        for codec, data in keyframes.items()
        for image_format in ImageFormat
    }


if __name__ == "__main__":
    for (codec, image_format), size in sizes().items():
        print(f"{codec} as {image_format.name.lower()}: {size / 1000:.0f} kB")
