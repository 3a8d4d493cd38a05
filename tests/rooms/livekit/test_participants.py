"""What a LiveKit server tells of participants, as facts."""

from livekit.protocol import models

from slicer.rooms.livekit.participants import Participants
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.facts import AnchorJoined, AnchorLeft, TrackPublished, TrackUnpublished
from slicer.slicing.outputs import TrackRefused
from tests.harness.rooms.livekit_stand_in import audio, info, video

GONE = models.ParticipantInfo.State.DISCONNECTED
SHARED = models.TrackSource.SCREEN_SHARE


def test_everyone_but_ourselves() -> None:
    participants = Participants("robot")
    ada = info("ada", audio("TR_a"), video("TR_v"))
    assert participants.replace([info("robot"), ada, info("bob")]) == [
        AnchorJoined("ada"),
        TrackPublished("ada", Kind.AUDIO),
        TrackPublished("ada", Kind.VIDEO),
        AnchorJoined("bob"),
    ]
    assert participants.track("ada", (Kind.VIDEO, Role.MAIN)) == "TR_v"
    assert participants.track("bob", (Kind.VIDEO, Role.MAIN)) is None
    assert participants.track("cleo", (Kind.VIDEO, Role.MAIN)) is None
    assert participants.owner("TR_v") == ("ada", (Kind.VIDEO, Role.MAIN))
    assert participants.owner("TR_x") is None
    assert participants.everyone()[1:] == [
        TrackPublished("ada", Kind.AUDIO),
        TrackPublished("ada", Kind.VIDEO),
        AnchorJoined("bob"),
    ]
    assert participants.replace([ada]) == [AnchorLeft("bob", "")]


def test_tracks_come_and_go() -> None:
    participants = Participants("robot")
    participants.update([info("ada", audio("TR_a"))])
    assert participants.update([info("ada", audio("TR_a"), video("TR_v"))]) == [
        TrackPublished("ada", Kind.VIDEO)
    ]
    assert participants.update([info("ada", audio("TR_b"), video("TR_v", muted=True))]) == [
        TrackUnpublished("ada", Kind.AUDIO),
        TrackPublished("ada", Kind.AUDIO),
    ]
    assert participants.track("ada", (Kind.AUDIO, Role.MAIN)) == "TR_b"
    gone = info("ada", state=GONE, disconnect_reason=models.DisconnectReason.PARTICIPANT_REMOVED)
    assert participants.update([gone, gone]) == [
        TrackUnpublished("ada", Kind.AUDIO, "participant removed"),
        TrackUnpublished("ada", Kind.VIDEO, "participant removed"),
        AnchorLeft("ada", "participant removed"),
    ]


def test_a_screen_is_kept_apart_from_the_camera() -> None:
    participants = Participants("robot")
    shared_audio = models.TrackSource.SCREEN_SHARE_AUDIO
    screen, camera = video("TR_s", source=SHARED), video("TR_c")
    heard = audio("TR_h", source=shared_audio, muted=True)
    assert participants.update([info("ada", screen, heard)]) == [
        AnchorJoined("ada"),
        TrackPublished("ada", Kind.AUDIO, Role.AUX),
        TrackPublished("ada", Kind.VIDEO, Role.AUX),
    ]
    assert participants.track("ada", (Kind.VIDEO, Role.AUX)) == "TR_s"
    assert participants.owner("TR_h") == ("ada", (Kind.AUDIO, Role.AUX))
    assert participants.muted("ada") == {(Kind.AUDIO, Role.AUX)}
    more = info("ada", screen, camera, video("TR_t", source=SHARED), video("TR_d"))
    assert participants.update([more]) == [
        TrackUnpublished("ada", Kind.AUDIO, role=Role.AUX),
        TrackPublished("ada", Kind.VIDEO),
        _further("a further shared screen", Role.AUX),
        _further("a further track", Role.MAIN),
    ]
    assert participants.everyone()[1:] == [
        TrackPublished("ada", Kind.VIDEO),
        TrackPublished("ada", Kind.VIDEO, Role.AUX),
    ]
    assert participants.replace([]) == [
        TrackUnpublished("ada", Kind.VIDEO),
        TrackUnpublished("ada", Kind.VIDEO, role=Role.AUX),
        AnchorLeft("ada", ""),
    ]


def _further(what: str, role: Role) -> TrackRefused:
    reason = f"{what} is left out: there is another video track"
    return TrackRefused("ada", Kind.VIDEO, reason, role)


def test_an_identity_that_joins_again() -> None:
    participants = Participants("robot")
    participants.update([info("ada", sid="PA_1")])
    reason = "replaced by a newer participant of the same identity"
    assert participants.update([info("ada", sid="PA_2"), info("ada", sid="PA_1", state=GONE)]) == [
        AnchorLeft("ada", reason),
        AnchorJoined("ada"),
    ]


def test_an_update_that_was_overtaken() -> None:
    participants = Participants("robot")
    participants.update([info("ada", audio("TR_a"), version=2)])
    assert participants.update([info("ada", version=1)]) == []


def test_what_cannot_be_read_or_named_is_refused_once() -> None:
    participants = Participants("robot")
    secret = video("TR_e", encryption=models.Encryption.Type.GCM)
    told = [info("ada", secret, models.TrackInfo(type=models.TrackType.DATA)), info("../x")]
    facts = participants.update(told)
    assert facts[0] == AnchorJoined("ada")
    refused = [(one.anchor, one.kind) for one in facts if isinstance(one, TrackRefused)]
    assert refused == [("ada", Kind.VIDEO), ("../x", Kind.AUDIO), ("../x", Kind.VIDEO)]
    assert participants.update(told) == []
    assert participants.ignored == 2


def test_a_reason_that_is_none_of_ours() -> None:
    participants = Participants("robot")
    participants.update([info("ada")])
    gone = info("ada", state=GONE, disconnect_reason=99)
    assert participants.update([gone]) == [AnchorLeft("ada", "reason 99")]


def layers(*heights: int) -> list[models.VideoLayer]:
    return [
        models.VideoLayer(quality=models.VideoQuality.Name(quality), height=height)
        for quality, height in zip(models.VideoQuality.values(), heights, strict=False)
    ]


def test_the_lowest_quality_that_is_high_enough() -> None:
    participants = Participants("robot")
    participants.update([info("ada", video("TR_v", layers=layers(180, 360, 720)))])
    low, medium, high = (
        models.VideoQuality.LOW,
        models.VideoQuality.MEDIUM,
        models.VideoQuality.HIGH,
    )
    for height, quality in ((1, low), (180, low), (181, medium), (720, high), (721, high)):
        assert participants.quality("ada", Role.MAIN, height, high) == quality
    assert participants.quality("ada", Role.MAIN, None, high) == high
    assert participants.quality("ada", Role.MAIN, 720, medium) == medium
    assert participants.quality("bob", Role.MAIN, 180, high) == high
    participants.update([info("ada", video("TR_v", layers=layers(90, 180)))])
    assert participants.quality("ada", Role.MAIN, 180, high) == medium
    codec = models.SimulcastCodecInfo(layers=layers(180, 360))
    participants.update([info("ada", video("TR_v", codecs=[codec]))])
    assert participants.quality("ada", Role.MAIN, 200, high) == medium
    participants.update([info("ada")])
    assert participants.quality("ada", Role.MAIN, 180, high) == high


def test_what_is_muted() -> None:
    participants = Participants("robot")
    assert participants.muted("ada") == frozenset()
    screen = video("TR_s", source=SHARED, muted=True)
    participants.update([info("ada", audio("TR_a", muted=True), video("TR_v"), screen)])
    assert participants.muted("ada") == {(Kind.AUDIO, Role.MAIN), (Kind.VIDEO, Role.AUX)}
    participants.update([info("ada", audio("TR_a"), video("TR_v", muted=True))])
    assert participants.muted("ada") == {(Kind.VIDEO, Role.MAIN)}
