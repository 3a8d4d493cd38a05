"""Every M seconds of media time one frame that can be decoded: asked for, waited for, or kept."""

from dataclasses import replace
from itertools import pairwise

import pytest

from slicer.rtp import rtcp
from slicer.rtp.parameters import RtpParameters
from slicer.rtp.stream import CHANGES
from slicer.slicing.outputs import GroupFrames, Missing, PictureCut
from slicer.slicing.spec import VideoSpec
from slicer.slicing.video import (
    ASK_AGAIN,
    LATE,
    MAX_PENDING_BYTES,
    MAX_PENDING_FRAMES,
    MISSING_AFTER,
    PROBE,
)
from tests.harness.rtp.call import (
    VIDEO,
    VIDEO_H264,
    VIDEO_TRACK,
    Call,
    Network,
    Sender,
    number_of,
)
from tests.harness.rtp.parts import bundle_of

RATE = 90_000
FRAME = 0.04
PLAIN = replace(VIDEO, rtx={}, extensions={}, feedback=frozenset({"nack pli"}))
MUTE = replace(PLAIN, feedback=frozenset())  # nothing may be asked of it


def call(
    sender: Sender, network: Network | None = None, seconds: int = 5, tick: float = 0.01
) -> Call:
    """One camera, a picture every *seconds*."""
    made = Call(bundle_of("ann", [sender.parameters]), [sender], network or Network(), tick=tick)
    made.take(made.bundle.attach(VIDEO_TRACK, VideoSpec(seconds), 0.0))
    return made


def camera(parameters: RtpParameters = PLAIN, **knobs: float) -> Sender:
    return Sender(parameters, every=FRAME, **knobs)  # type: ignore[arg-type]


def shown(pictures: list[PictureCut]) -> list[int]:
    """The number of each picture's frame. What cuts say of their group is so: each goes on where
    the last one of its group ended that was to be continued, and the first begins with its
    keyframe."""
    there: dict[tuple[int, int], int] = {}
    for picture in pictures:
        numbers = [number_of(frame) for frame in picture.frames]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        group = picture.epoch, picture.keyframe
        assert picture.first == there.get(group, 0)
        there[group] = picture.first + len(numbers) if picture.continues else 0
        if picture.first == 0:
            assert is_keyframe(picture.frames[0])
        assert not any(is_keyframe(frame) for frame in picture.frames[picture.first == 0 :])
    return [number_of(picture.frames[-1]) for picture in pictures]


def is_keyframe(frame: bytes) -> bool:
    return b"\x65" in frame if frame.startswith(b"\0\0\0\1") else frame[0] & 1 == 0


def requests(talk: Call) -> list[float]:
    return [when for when, _ in talk.feedback(rtcp.PictureLossIndication)]


@pytest.mark.parametrize("parameters", [PLAIN, VIDEO, VIDEO_H264], ids=["vp8", "all", "h264 fir"])
@pytest.mark.parametrize("seconds", [1, 5, 7])
def test_pictures_are_due_exactly_and_come_at_once(parameters: RtpParameters, seconds: int) -> None:
    sender = camera(parameters, timestamp=2**32 - 20 * RATE, sequence=65_000)
    talk = call(sender, Network(delay=0.03), seconds).run(64)
    pictures = talk.pictures
    first = pictures[0].due
    assert [p.due for p in pictures] == [first + i * seconds * RATE for i in range(len(pictures))]
    assert len(pictures) == 64 // seconds + (64 % seconds > 0)
    assert all(0 <= p.timestamp - p.due <= 0.2 * RATE for p in pictures)
    assert all(len(p.frames) == 1 for p in pictures)
    assert shown(pictures) == [n for n in sender.keyframes if n in shown(pictures)]
    for picture, number in zip(pictures, shown(pictures), strict=True):
        assert picture.began == pytest.approx(0.01 + FRAME * number + 0.03, abs=0.011)


def test_a_keyframe_is_asked_for_once_if_it_comes() -> None:
    talk = call(camera()).run(60)
    # The first came unasked; another one showed that it answers.
    assert len(requests(talk)) == len(talk.pictures) == 12
    assert talk.bundle.counters["asleep"] > 1300


def test_it_is_asked_for_again_every_half_second_until_it_comes() -> None:
    sender = camera()
    talk = call(sender).run(4)
    sender.deaf = True
    talk.run(3)
    sender.deaf = False
    talk.run(1)
    asked = requests(talk)[1:]
    assert [b - a for a, b in pairwise(asked)] == pytest.approx([ASK_AGAIN] * 4, abs=0.05)
    assert len(talk.pictures) == 2
    assert talk.pictures[-1].due == 5 * RATE


def test_nobody_is_asked_while_nobody_sends() -> None:
    sender = camera()
    talk = call(sender).run(5.005)
    sender.muted = True
    talk.run(60)
    before = len(requests(talk))
    assert before <= 2
    sender.muted = False
    talk.run(1)
    assert len(requests(talk)) == before + 1
    assert len(talk.pictures) == 2


def test_an_old_request_is_no_sign_that_the_source_is_deaf() -> None:
    sender = camera()
    talk = call(sender).run(4.9)
    sender.muted = True
    for _ in range(3):  # a frame now and then, in answer to nothing
        talk.run(10)
        sender.muted = False
        sender.deaf = True
        talk.run(FRAME)
        sender.muted = True
    sender.muted = sender.deaf = False
    talk.run(1)
    assert talk.bundle.counters["unanswered"] == 0


def test_a_keyframe_by_itself_just_when_one_is_due_is_taken_unasked() -> None:
    talk = call(camera(group=125)).run(60)  # a keyframe every five seconds
    assert [p.timestamp - p.due for p in talk.pictures] == [0] * 12
    assert len(requests(talk)) == 1  # to see that it answers
    assert talk.bundle.counters["asleep"] > 1000


def test_a_source_with_frequent_keyframes_gives_the_next_one() -> None:
    talk = call(camera(MUTE, group=10), seconds=1).run(20)
    assert all(0 <= p.timestamp - p.due < FRAME * RATE for p in talk.pictures)
    assert len(talk.pictures) == 20


def test_a_deaf_source_is_kept_and_the_frame_due_is_exact() -> None:
    sender = camera(deaf=True, group=300)  # every twelve seconds
    talk = call(sender).run(61)
    assert talk.bundle.counters["unanswered"] == 1
    cuts = [(p.first, len(p.frames), p.continues) for p in talk.pictures]
    # The first one is a keyframe, and no decoder is kept for it.
    assert cuts[:4] == [(0, 1, False), (0, 126, True), (126, 125, True), (0, 76, True)]
    assert shown(talk.pictures) == [125 * i for i in range(13)]


def test_a_deaf_source_is_asked_only_now_and_then() -> None:
    sender = camera(deaf=True, group=300)
    talk = call(sender).run(5 * PROBE)
    after = [when for when in requests(talk) if when > 20]
    assert all(b - a > PROBE - 1 for a, b in pairwise(after))
    assert 3 <= len(after) <= 5


def test_a_source_that_hears_again_is_put_to_sleep_again() -> None:
    sender = camera(deaf=True, group=300)
    talk = call(sender).run(20)
    asleep = talk.bundle.counters["asleep"]
    sender.deaf, sender.group = False, 0
    talk.run(3 * PROBE)
    assert talk.bundle.counters["asleep"] > asleep + 500
    assert [p.due for p in talk.pictures[-8:]] == [5 * RATE * i for i in range(32, 40)]
    assert not talk.pictures[-1].continues


def test_a_new_source_after_a_deaf_one_is_asked_at_once() -> None:
    sender = camera(deaf=True)
    talk = call(sender).run(20)
    assert talk.bundle.counters["unanswered"] == 1
    sender.ssrc, sender.deaf = 77, False
    talk.run(0.3 + CHANGES)
    assert talk.pictures[-1].epoch == 1
    assert talk.pictures[-1].began == pytest.approx(20.1 + CHANGES, abs=0.15)


def handed_over(talk: Call) -> list[PictureCut | GroupFrames]:
    """Everything that holds frames, in order."""
    both: list[PictureCut | GroupFrames] = [*talk.pictures, *talk.ahead]
    return sorted(both, key=lambda one: (one.epoch, one.keyframe, one.first))


def frames_of(talk: Call) -> list[int]:
    """The numbers of all frames handed over, in order."""
    return [number_of(frame) for one in handed_over(talk) for frame in one.frames]


@pytest.mark.parametrize("group", [50, 100, 1_000, 7_500, 0])
def test_pictures_never_end_however_long_the_group(group: int) -> None:
    """Of 2 s to 300 s, and of no end; each frame is handed over once at most."""
    talk = call(camera(MUTE, group=group)).run(400)
    assert [p.timestamp for p in talk.pictures] == [5 * RATE * i for i in range(80)]
    assert [number_of(p.frames[-1]) for p in talk.pictures] == [125 * i for i in range(80)]
    handed = frames_of(talk)
    assert handed == sorted(set(handed))
    assert talk.bundle.counters["frames_ahead"] == talk.bundle.counters["picture_missing"] == 0


def test_a_keyframe_drops_what_no_picture_needs() -> None:
    talk = call(camera(MUTE, group=50), seconds=60).run(601)
    assert len(talk.pictures) == 11
    assert [len(p.frames) for p in talk.pictures] == [1] * 11  # 60 s: a keyframe falls on each


@pytest.mark.parametrize("seconds", [60, 300])
def test_frames_are_handed_over_ahead_where_they_become_many(seconds: int) -> None:
    talk = call(camera(MUTE), seconds=seconds).run(601)
    assert [p.timestamp for p in talk.pictures] == [
        seconds * RATE * i for i in range(600 // seconds + 1)
    ]
    ahead = talk.ahead
    assert talk.bundle.counters["frames_ahead"] == len(ahead) > 0
    assert {len(cut.frames) for cut in ahead} == {MAX_PENDING_FRAMES}
    assert all(len(p.frames) <= MAX_PENDING_FRAMES for p in talk.pictures)
    assert frames_of(talk) == list(range(600 * 25 + 1))
    first = 0
    for cut in handed_over(talk):
        assert (cut.keyframe, cut.first) == (0, first)
        first += len(cut.frames)


def test_frames_are_bounded_in_bytes() -> None:
    size = MAX_PENDING_BYTES // 103  # a keyframe is four times as large
    talk = call(camera(MUTE, group=300, size=size, mtu=8000)).run(6)
    ahead = talk.ahead
    assert talk.bundle.counters["frames_ahead"] == len(ahead) == 1
    held = sum(map(len, ahead[0].frames))
    assert MAX_PENDING_BYTES <= held < MAX_PENDING_BYTES + size
    assert [len(p.frames) for p in talk.pictures] == [1, 125 - len(ahead[0].frames)]
    assert frames_of(talk) == list(range(126))


def test_frames_that_just_fit_are_kept() -> None:
    size = MAX_PENDING_BYTES // 126
    talk = call(camera(MUTE, group=300, size=size, mtu=8000)).run(5.1)
    assert talk.bundle.counters["frames_ahead"] == 0
    assert [len(p.frames) for p in talk.pictures] == [1, 125]


@pytest.mark.parametrize("group", [50, 73, 250, 1_500, 7_500])
@pytest.mark.parametrize("seconds", [1, 7, 60])
def test_who_never_answers_gives_the_very_frame_due(group: int, seconds: int) -> None:
    """Though it may be asked, groups of 2 s to 300 s: every picture from the first on is exact,
    and a keyframe that falls near a probe changes nothing."""
    talk = call(camera(deaf=True, group=group), seconds=seconds).run(5 * PROBE + 0.1)
    count = int(5 * PROBE) // seconds + 1
    assert [p.due for p in talk.pictures] == [seconds * RATE * i for i in range(count)]
    assert [p.timestamp - p.due for p in talk.pictures] == [0] * count
    assert talk.bundle.counters["unanswered"] == 1
    assert talk.missing == []


@pytest.mark.parametrize("group", [5, 12, 20, 24])
def test_keyframes_by_themselves_within_a_second_may_pass_for_answers(group: int) -> None:
    talk = call(camera(deaf=True, group=group), seconds=2).run(120)
    waited = [p.timestamp - p.due for p in talk.pictures]
    assert len(waited) == 60
    assert max(waited) < group * FRAME * RATE


@pytest.mark.parametrize(("group", "seconds"), [(10, 1), (50, 7), (73, 1), (260, 60), (1_500, 7)])
def test_who_answers_no_longer_is_found_out(group: int, seconds: int) -> None:
    """One or two pictures wait for a keyframe of the source's own, and are told. From then on each
    is the frame due, though the source is asked again and its keyframes fall near that."""
    sender = camera(group=group)
    talk = call(sender, seconds=seconds).run(24.9)
    sender.deaf = True
    before = len(talk.pictures)
    talk.run(4 * PROBE)
    waited = [(p.timestamp - p.due) / RATE for p in talk.pictures[before:]]
    if group * FRAME <= ASK_AGAIN:  # each keyframe of its own looks like an answer
        assert max(waited) < ASK_AGAIN
        return
    late = [index for index, seconds in enumerate(waited) if seconds > FRAME]
    assert all(waited[index] > LATE for index in late)
    assert talk.bundle.counters["picture_late"] == len(late) in {1, 2}
    assert [told.reason for told in talk.missing] == [
        Missing.KEYFRAME for index in late if waited[index] > MISSING_AFTER
    ]
    assert all(b.due - a.due == seconds * RATE for a, b in pairwise(talk.pictures[before + 3 :]))


@pytest.mark.parametrize("answers", [True, False])
def test_a_source_is_tried_once(answers: bool) -> None:
    """What was kept for it is dropped when it answers, and is decoded when it does not."""
    sender = camera(deaf=not answers)
    talk = call(sender, seconds=60).run(30)
    assert requests(talk)[0] == pytest.approx(ASK_AGAIN, abs=0.02)
    assert len(requests(talk)) == (1 if answers else 9)
    assert talk.bundle.counters["unanswered"] == (not answers)
    assert len(talk.ahead) == (0 if answers else 2)
    assert (talk.bundle.counters["asleep"] > 25 * 25) is answers


def test_a_source_that_is_tried_where_packets_are_lost_is_judged_later() -> None:
    sender = camera(size=200)
    talk = call(sender, Network(lose=lambda number: number == 6), seconds=5)
    sender.deaf = True
    talk.run(1.3)
    sender.deaf = False
    talk.run(30)
    assert talk.bundle.counters["unanswered"] == 0
    assert len(talk.pictures) == 7


def test_a_lost_request_is_no_sign_that_the_source_is_deaf() -> None:
    sender = camera()
    talk = call(sender).run(5.02)
    for _ in range(20):
        sender.deaf = True  # the first request of each picture is lost
        talk.run(0.3)
        sender.deaf = False
        talk.run(9.7)
    assert len(talk.pictures) == 41
    assert talk.bundle.counters["unanswered"] == 0


def missed(talk: Call) -> list[Missing]:
    return [one.reason for one in talk.missing]


def test_a_picture_that_cannot_be_had_is_told_once() -> None:
    sender = camera(group=0)
    talk = call(sender).run(5.02)
    sender.deaf = True
    talk.run(9)
    assert missed(talk) == []
    talk.run(100)
    assert missed(talk) == [Missing.KEYFRAME]
    assert talk.bundle.counters["picture_missing"] == 1
    assert talk.missing[0].track == VIDEO_TRACK
    sender.deaf = False
    talk.run(70)
    assert talk.pictures[-1].timestamp > 150 * RATE
    sender.deaf = True
    talk.run(6)
    sequence_lost(talk, {1})
    talk.run(100)
    assert missed(talk) == [Missing.KEYFRAME] * 2


def test_silence_is_no_missing_picture() -> None:
    sender = camera()
    talk = call(sender).run(5.005)
    sender.muted = True
    talk.run(10 * MISSING_AFTER)
    sender.muted = False
    talk.run(1)
    assert missed(talk) == []


def test_keyframes_that_never_come_whole_are_told_as_such() -> None:
    sender = camera(size=300)
    talk = call(sender).run(4)
    talk.network.lose = lambda number: number % 4 == 0  # of every keyframe
    talk.run(3 * MISSING_AFTER)
    assert missed(talk) == [Missing.WHOLE_KEYFRAME]


def sequence_lost(call: Call, numbers: set[int]) -> None:
    """Lose datagrams by number from now on."""
    start = call.senders[0].sequence
    call.network.lose = lambda number: number - start in numbers


def test_a_keyframe_with_a_hole_is_no_picture_and_another_is_asked_for() -> None:
    sender = camera(size=200)
    talk = call(sender).run(5.02)
    sequence_lost(talk, {1, 2})  # in the middle of the answer
    talk.run(5)
    assert len(requests(talk)) >= 2
    assert len(talk.pictures) == 2
    assert shown(talk.pictures)[1] == sender.keyframes[3]
    assert all(len(picture.frames[0]) == 800 for picture in talk.pictures)


def test_a_lossy_line_is_not_taken_for_a_deaf_source() -> None:
    sender = camera(size=120)
    talk = call(sender).run(4)
    talk.network.loss = 0.35  # most keyframes have a hole
    talk.run(60)
    talk.network.loss = 0
    talk.run(10)
    assert talk.bundle.counters["unanswered"] == 0
    assert len(talk.pictures) >= 8
    assert all(len(picture.frames[0]) == 480 for picture in talk.pictures)


@pytest.mark.parametrize("padded", [False, True], ids=["plain", "hole before padding"])
def test_between_a_loss_and_a_keyframe_nothing_becomes_a_picture(padded: bool) -> None:
    sender = camera(MUTE, group=200)  # every eight seconds
    talk = call(sender).run(3.02)
    sequence_lost(talk, {3})
    talk.run(0.12)
    if padded:
        sender.sequence += 1
        empty = bytearray(sender.packet(b"\0\0\0\4", False))
        empty[0] |= 0x20
        talk.carry(bytes(empty), talk.now)
    talk.run(14)
    pictures = talk.pictures
    assert [p.due // RATE for p in pictures] == [0, 5, 10, 15]
    assert pictures[1].timestamp == 8 * RATE  # the next keyframe, not the frame at 5
    shown(pictures)


def test_no_fresh_frame_no_picture() -> None:
    sender = camera()
    talk = call(sender).run(12)
    sender.muted = True
    talk.run(60)
    assert len(talk.pictures) == 3
    sender.muted = False
    talk.run(1)
    assert len(talk.pictures) == 4
    assert talk.pictures[-1].began == pytest.approx(72, abs=0.3)
    assert talk.end() == talk.pictures


def test_each_picture_comes_at_its_own_size() -> None:
    sender = camera()
    talk = call(sender).run(6)
    sender.size = 300
    talk.run(5)
    assert [len(p.frames[0]) for p in talk.pictures] == [160, 160, 1200]


def test_asleep_it_is_reported_and_acknowledged_but_nothing_is_asked_for() -> None:
    sender = camera(VIDEO)
    lost = Network(lose=lambda number: 30 < number < 120 and number % 10 == 0)
    talk = call(sender, lost, seconds=10).run(9)
    acknowledged = {
        number
        for _, packet in talk.feedback(rtcp.TransportFeedback)
        if isinstance(packet, rtcp.TransportFeedback)
        for number, when in packet.arrivals()
        if when is not None
    }
    arrived = {number for number in range(sender.sequence) if not lost.lose(number)}
    assert arrived - acknowledged <= set(sorted(arrived)[-8:])
    assert len(talk.feedback(rtcp.ReceiverReport)) >= 9
    assert talk.feedback(rtcp.Nack) == []


@pytest.mark.parametrize("jump", [3600, 1.5, -3600, -1])
def test_a_jump_of_timestamps_gives_a_picture_at_once(jump: float) -> None:
    sender = camera(timestamp=5000 * RATE)
    talk = call(sender).run(12)
    sender.timestamp += round(jump * RATE)
    talk.run(11)
    assert [p.epoch for p in talk.pictures] == [0, 0, 0, 1, 1, 1]
    assert talk.pictures[3].began == pytest.approx(12, abs=0.3)
    assert talk.pictures[4].due - talk.pictures[3].due == 5 * RATE


def test_a_new_source_gives_a_picture_at_once() -> None:
    sender = camera()
    talk = call(sender).run(12)
    sender.ssrc, sender.sequence, sender.timestamp = 77, 4, 5
    talk.run(5.5)
    assert [p.epoch for p in talk.pictures] == [0, 0, 0, 1, 1]


def test_layers_side_by_side_make_no_storm() -> None:
    talk = call(camera(group=50))
    talk.senders += [
        Sender(PLAIN, ssrc=ssrc, every=FRAME, timestamp=ssrc * 777_777, group=50) for ssrc in (2, 3)
    ]
    talk.run(60)
    assert len(talk.pictures) == 12
    assert {picture.epoch for picture in talk.pictures} == {0}
    assert talk.bundle.counters["parallel_ssrc"] > 2_900
    assert len(requests(talk)) < 20


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1])
def test_with_retransmission_losses_are_not_seen(loss: float) -> None:
    sender = camera(VIDEO, size=200)
    talk = call(sender, Network(delay=0.02, loss=loss), seconds=2).run(60)
    assert [p.due for p in talk.pictures] == [2 * RATE * i for i in range(30)]
    assert all(p.timestamp - p.due < 1.2 * RATE for p in talk.pictures)
    assert all(len(p.frames[0]) == 800 for p in talk.pictures)
