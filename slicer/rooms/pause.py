"""Whether an anchor's video need not flow until its next picture. Without I/O and clock.

Theory of operation. An SFU forwards all of a publisher's video, and of that we take one frame
every M seconds. Once a picture is taken, the video is paused at the SFU, and resumed when the next
is due. The SFU asks the publisher for a keyframe as it resumes. That keyframe is to be the picture:
resumed any earlier, it would come before the picture is due and be of no use; and as libwebrtc
answers no further request within 300 ms of a keyframe, ours would have to be repeated. (Measured
with Janus and libwebrtc: the picture came 160 ms after its time, and 650 ms where the video was
resumed 0.1 s before.)
"""

from slicer.slicing.outputs import PictureCut
from slicer.slicing.spec import VideoSpec

SHORTEST = 1.0
"""Seconds. A pause that is no longer is not worth its messages, and a resumption that may have to
wait longer is not to be waited for."""
AFTER = 0.02
"""Seconds after a picture is due at which the video is resumed: clocks are not exact."""


def resume_at(cut: PictureCut, spec: VideoSpec, now: float) -> float | None:
    """When to resume after this picture of a track; None where it is not to be paused: the next one
    is due soon, or it needs all frames before it, because the source does not answer requests for
    keyframes, or because it may be asked so seldom that its own keyframes must not be missed.
    """
    if spec.asks_every > SHORTEST:
        return None
    rate = cut.codec.clock_rate
    step = spec.seconds * rate
    ahead = step - (cut.timestamp - cut.due) % step
    due = cut.began + ahead / rate
    return None if cut.continues or due - now <= SHORTEST else due + AFTER
