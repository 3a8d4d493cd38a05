"""A file in the request: read, judged, answered as TRTC's SDK reads it; and what is refused."""

import base64
import json
from typing import Any

import pytest
from tencentcloud.trtc.v20190722 import models

from slicer.api import audio
from slicer.api.actions import carry_out
from slicer.api.errors import code_of
from slicer.api.fields import Reader
from slicer.api.schema import ACTIONS, AUDIO_SYNC
from slicer.delivery.judging import Unjudged
from slicer.errors import SlicerError
from slicer.moderation import Finding, Label, Segment, Suggest, Verdict
from tests.harness.service.api import APP, NOW, Recorder

BODY: dict[str, object] = {
    "Sdkappid": 200806,
    "DataId": "mine",
    "FileName": "speech",
    "FileFormat": "mp3",
    "FileContent": base64.b64encode(b"a file").decode(),
}
HIT = Finding(Label.ABUSE, Suggest.BLOCK, 91, keywords=("word",), segments=(Segment(0.5, 1.0),))


async def act(body: dict[str, object], orders: Recorder) -> dict[str, Any]:
    action = ACTIONS[AUDIO_SYNC]
    values = Reader().read(action.fields, body)
    return await carry_out(action, APP, values, orders, NOW, "local")


@pytest.mark.filterwarnings("ignore:.*fileds are useless")
async def test_the_verdict_is_the_answer() -> None:
    orders = Recorder(outcome=Verdict.of((HIT,), "such a word"))
    answer = await act(BODY, orders)
    ((file, supplier),) = orders.judged
    assert (file.data, file.format, supplier) == (b"a file", "mp3", "local")
    read = models.CreateAudioModerationSyncResponse()
    read.from_json_string(json.dumps(answer | {"RequestId": "r"}))
    assert (read.DataId, read.FileName, read.TaskId) == ("mine", "speech", "task-1")
    assert (read.MediaType, read.Suggest, read.Rate, read.Label) == (1, 2, 91, "Abuse")
    assert (read.AudioText, read.Duration) == ("such a word", 1500)
    assert read.CheckDetail[0].AudioSegments.FinishTime == 1.0


@pytest.mark.parametrize(
    ("changed", "code", "text"),
    [
        ({"FileUrl": "http://h/a.mp3"}, "UnsupportedOperation", "FileUrl"),
        ({"FileContent": None}, "MissingParameter", "FileContent"),
        ({"FileFormat": None}, "MissingParameter", "FileFormat"),
        ({"FileContent": "a=b"}, "InvalidParameterValue", "FileContent: no Base64"),
        ({"FileContent": "%"}, "InvalidParameterValue", "FileContent"),
        ({"FileFormat": "ogg"}, "InvalidParameterValue", "FileFormat"),
    ],
)
async def test_what_is_refused(changed: dict[str, object], code: str, text: str) -> None:
    orders = Recorder()
    with pytest.raises(SlicerError) as caught:
        await act(BODY | changed, orders)
    assert code_of(caught.value) == code
    assert str(caught.value).startswith(text)
    assert orders.judged == []


async def test_a_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MAX_AUDIO", 5)
    with pytest.raises(SlicerError, match="got 6 bytes; allowed: 5"):
        await act(BODY, Recorder())


async def test_nobody_could_judge_it() -> None:
    with pytest.raises(SlicerError, match="not judged: no speech"):
        await act(BODY, Recorder(outcome=Unjudged("no speech")))
