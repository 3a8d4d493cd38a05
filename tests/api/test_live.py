"""A request that names a stream, to an order: defaults, echoes, and what is refused."""

import json

import pytest

from slicer.api.errors import code_of
from slicer.api.fields import Reader
from slicer.api.live import read_live_order
from slicer.api.schema import ACTIONS
from slicer.delivery.judging import Keep
from slicer.errors import SlicerError
from slicer.service.order import LiveStream, Moderation, Order, Product, SupplierSpec
from slicer.slicing.spec import AudioSpec, ImageFormat, VideoSpec
from tests.harness.service.api import seed

URL = "rtmp://live.example.com/app/key"
STORE: dict[str, object] = {
    "CloudModerationStorage": json.loads(json.dumps(seed("CreateCloudModeration")))[
        "ModerationStorageParams"
    ]["CloudModerationStorage"]
}
LEAST: dict[str, object] = {
    "SdkAppId": 200806,
    "Input": {"Url": URL},
    "LiveModerationParams": {},
    "LiveModerationStorageParams": STORE,
}


def order(body: dict[str, object]) -> Order:
    fields = ACTIONS["CreateLiveStreamModeration"].fields
    return read_live_order(Reader().read(fields, body), "local")


def refusal(**changed: object) -> tuple[str, str]:
    with pytest.raises(SlicerError) as caught:
        order(LEAST | changed)
    return code_of(caught.value), str(caught.value)


def test_defaults() -> None:
    made = order(LEAST)
    assert made.product is Product.LIVE
    assert made.stream == LiveStream(URL)
    assert URL not in repr(made), "it may hold a secret"
    assert (made.params.audio, made.params.video) == (AudioSpec(15), VideoSpec(5))
    assert (made.params.max_idle, made.images, made.expire_hours) == (30, ImageFormat.PNG, 48)
    assert made.moderation == Moderation(SupplierSpec("local"), Keep.ALL, hits_only=False)
    assert made.bucket is not None
    assert made.bucket.bucket == "av-recover-prod-1258344699"


def test_everything() -> None:
    source = {"RoomId": "150", "RoomIdType": 1, "UserId": "ada"}
    made = order(
        {
            "SdkAppId": 200806,
            "Input": {"Url": URL, "Format": "rtmp"},
            "LiveModerationParams": {
                "ModerationType": 1,
                "SliceAudio": 5,
                "MaxIdleTime": 60,
                "SaveModerationFile": 0,
                "CallbackAllResults": 1,
            },
            "DataId": "mine",
            "SourceInfo": source,
            "ResourceExpiredHour": 1,
        }
    )
    assert (made.room_id, made.room_type, made.expire_hours) == ("150", 1, 1)
    assert (made.params.audio, made.params.video) == (AudioSpec(5), None)
    assert made.moderation == Moderation(SupplierSpec("local"), Keep.NONE, hits_only=True)
    assert made.bucket is None
    assert made.stream is not None
    assert (made.stream.anchor, made.stream.data_id) == ("ada", "mine")
    assert json.loads(made.stream.source) == source


def test_what_is_refused_is_named() -> None:
    assert refusal(Input={"AgoraParam": {"AppId": "x"}, "Url": URL})[0] == "UnsupportedOperation"
    code, text = refusal(SourceInfo={"RoomId": "x", "RoomIdType": 1})
    assert (code, text.partition(":")[0]) == ("InvalidParameterValue", "SourceInfo.RoomId")
    code, text = refusal(LiveModerationStorageParams=None)
    assert code == "MissingParameter.SliceStorageParams"
    assert "LiveModerationStorageParams: missing" in text
    assert refusal(Input={})[0] == "MissingParameter"
    assert refusal(Input={"Url": URL, "Format": "srt"})[0] == "InvalidParameterValue"
    assert refusal(LiveModerationParams={"SliceAudio": 4})[0] == "InvalidParameter.OutOfRange"
    code, text = refusal(Input={"Url": URL, "AgoraParam": {"TrustedUserIdList": [-1]}})
    assert (code, "[0]" in text) == ("InvalidParameter.OutOfRange", True)
    code, _ = refusal(Input={"Url": URL, "AgoraParam": {"TrustedUserIdList": "1"}})
    assert code == "InvalidParameter"
