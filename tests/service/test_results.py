"""A verdict in TRTC's words."""

import json
from datetime import UTC, datetime

from slicer.media.slice import SliceInfo
from slicer.moderation import Box, Finding, Label, Segment, Suggest, Verdict, data_id
from slicer.rtp.parameters import Kind
from slicer.service.results import MAX_RAW, payload
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
                "AudioSegments": [],
                "ImageLocation": [{"X": 1, "Y": 2, "Width": 3, "Height": 4}],
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
        segments=(Segment(1.25, 2.0, "a word"),),
    )
    facts = payload(AUDIO, Verdict.of((found,), "such a word"), 1, False, False)
    assert (facts["Audio"], facts["AudioText"], facts["ImageOcr"]) == ("", "such a word", "")
    assert facts["EndTimeMs"] == START + 15_000
    details = facts["CheckDetail"]
    assert isinstance(details, list)
    (detail,) = details
    assert detail["AudioSegments"] == [{"StartMs": 1250, "EndMs": 2000, "Text": "a word"}]
    assert detail["Keywords"] == ["word"]


def test_the_supplier_s_own_answer_where_it_is_asked_for() -> None:
    answer = {"Data": {"Score": 1}}
    verdict = Verdict(raw=json.dumps(answer))
    assert "Raw" not in payload(AUDIO, verdict, 1, False, False)
    assert payload(AUDIO, verdict, 1, False, True)["Raw"] == answer
    assert payload(AUDIO, Verdict(raw="<x/>"), 1, False, True)["Raw"] == "<x/>"
    assert payload(AUDIO, Verdict(raw="x" * (MAX_RAW + 1)), 1, False, True)["Raw"] is None
