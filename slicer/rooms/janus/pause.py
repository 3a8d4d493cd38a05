"""Whether an anchor's video need not flow until its next picture. Without I/O and clock.

Theory of operation. Janus forwards all of a publisher's video, and of that we take one frame every
M seconds. Once a picture is taken, the video is paused at Janus, and resumed when the next is due.
Janus asks the publisher for a keyframe as it resumes, so that a picture is no later than it is
without the pause.
"""

from slicer.slicing.outputs import PictureCut

SHORTEST = 1.0
"""Seconds; a shorter pause is not worth its messages."""
EARLY = 0.1
"""Seconds before a picture is due at which the video is resumed: the way to Janus and back."""


def resume_at(cut: PictureCut, seconds: int, now: float) -> float | None:
    """When to resume after this picture, of a track that takes one every *seconds*; None where it
    is not to be paused: the next one is due soon, or it needs all frames before it, because the
    source does not answer requests for keyframes.
    """
    rate = cut.codec.clock_rate
    step = seconds * rate
    ahead = step - (cut.timestamp - cut.due) % step
    until = cut.began + ahead / rate - EARLY
    return None if cut.continues or until - now < SHORTEST else until
