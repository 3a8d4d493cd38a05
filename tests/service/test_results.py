"""A verdict in TRTC's words."""

import json
from datetime import UTC, datetime

import pytest
from tencentcloud.trtc.v20190722 import models

from slicer.media.slice import SliceInfo
from slicer.moderation import Box, Finding, Label, Segment, Suggest, Verdict, data_id
from slicer.rtp.parameters import Kind
from slicer.service.results import MAX_RAW, check_detail, payload
from slicer.slicing.outputs import TrackKey

BEGAN = datetime(2025, 1, 6, 14, 31, 43, tzinfo=UTC)
PICTURE = SliceInfo("t/ada/images/a.png", TrackKey("t", "ada", Kind.VIDEO), BEGAN, 0.0, 9)
AUDIO = SliceInfo("t/ada/audios/a.ogg", TrackKey("t", "ada", Kind.AUDIO), BEGAN, 15.0, 9)
START = 1_736_173_903_000


def test_a_picture() -> None:
    found = Finding(
        Label.PORN, Suggest.BLOCK, 97, "porn", description="nude", boxes=(Box(1, 2, 3, 4),)
    )
    verdict = Verdict.of((found,), "BUY NOW", "request")
    assert payload(PICTURE, verdict, 2, True, False) == {
        "DataId": data_id(PICTURE),
        "RequestId": "request",
        "MediaType": 2,
        "MediaId": "main",
        "Suggest": 2,
        "Label": "Porn",
        "Rate": 97,
        "Image": "t/ada/images/a.png",
        "ImageOcr": "BUY NOW",
        "Audio": "",
        "AudioText": "",
        "CheckDetail": [
            {
                "Scene": "porn",
                "Label": "Porn",
                "Suggest": 2,
                "Keywords": [],
                "Score": 97,
                "Desc": "nude",
                "AudioSegments": None,
                "ImageLocation": {"X": 1, "Y": 2, "Width": 3, "Height": 4},
                "Segments": [],
                "Boxes": [{"X": 1, "Y": 2, "Width": 3, "Height": 4}],
            }
        ],
        "StartTimeMs": START,
        "EndTimeMs": START,
        "Repeated": False,
    }


def test_audio_that_is_not_kept() -> None:
    found = Finding(
        Label.ABUSE,
        Suggest.REVIEW,
        60,
        keywords=("word",),
        segments=(Segment(1.25, 2.0, "a word"), Segment(3.0, 3.5, "again")),
    )
    facts = payload(AUDIO, Verdict.of((found,), "such a word"), 1, False, False)
    assert (facts["Audio"], facts["AudioText"], facts["ImageOcr"]) == ("", "such a word", "")
    assert facts["EndTimeMs"] == START + 15_000
    details = facts["CheckDetail"]
    assert isinstance(details, list)
    (detail,) = details
    first = {"StartTime": 1.25, "FinishTime": 2.0, "Text": "a word"}
    assert detail["AudioSegments"] == first
    assert detail["Segments"] == [first, {"StartTime": 3.0, "FinishTime": 3.5, "Text": "again"}]
    assert (detail["ImageLocation"], detail["Boxes"]) == (None, [])
    assert detail["Keywords"] == ["word"]


def test_the_supplier_s_own_answer_where_it_is_asked_for() -> None:
    answer = {"Data": {"Score": 1}}
    verdict = Verdict(raw=json.dumps(answer))
    assert "Raw" not in payload(AUDIO, verdict, 1, False, False)
    assert payload(AUDIO, verdict, 1, False, True)["Raw"] == answer
    assert payload(AUDIO, Verdict(raw="<x/>"), 1, False, True)["Raw"] == "<x/>"
    assert payload(AUDIO, Verdict(raw="x" * (MAX_RAW + 1)), 1, False, True)["Raw"] is None


@pytest.mark.filterwarnings("ignore:.*fileds are useless")
def test_check_detail_has_the_fields_of_trtc_s_sdk_in_their_types() -> None:
    finding = Finding(
        Label.AD, Suggest.REVIEW, 1, segments=(Segment(0.0, 1.0),), boxes=(Box(1, 2, 3, 4),)
    )
    (told,) = check_detail(Verdict.of((finding,)))
    read = models.ModerationCheckDetail()
    read.from_json_string(json.dumps(told))
    assert (read.AudioSegments.StartTime, read.AudioSegments.FinishTime) == (0.0, 1.0)
    assert (read.ImageLocation.X, read.ImageLocation.Y) == (1, 2)
    for name in ("Scene", "Label", "Suggest", "Keywords", "Score", "Desc"):
        assert getattr(read, name) == told[name]
