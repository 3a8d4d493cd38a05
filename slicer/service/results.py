"""A verdict as TRTC's callbacks tell it: the Payload of event 1104 (spec 5).

CheckDetail is ModerationCheckDetail of TRTC's SDK (3.1.177), in which AudioSegments and
ImageLocation are one object each. Where a finding has several, the first is there, and all are in
Segments and Boxes, which are ours."""

import json
from collections.abc import Mapping

from slicer.media.slice import SliceInfo
from slicer.moderation import Finding, Verdict, data_id
from slicer.rtp.parameters import Kind

MAX_RAW = 64 * 1024
"""Characters of a supplier's own answer that are passed on; of a longer one, none."""


def payload(
    slice: SliceInfo, verdict: Verdict, media_type: int, kept: bool, raw: bool
) -> Mapping[str, object]:
    """TRTC's fields, and ours: MediaId, StartTimeMs, EndTimeMs, Repeated, and Raw where *raw* asks
    for the supplier's answer. Image or Audio is the key of a file that is kept."""
    picture = slice.kind is Kind.VIDEO
    file = slice.key if kept else ""
    start = round(slice.began.timestamp() * 1000)
    facts: dict[str, object] = {
        "DataId": data_id(slice),
        "RequestId": verdict.request,
        "MediaType": media_type,
        "MediaId": slice.role.value,
        "Suggest": int(verdict.suggest),
        "Label": verdict.label.value,
        "Rate": verdict.score,
        "Image": file if picture else "",
        "ImageOcr": verdict.text if picture else "",
        "Audio": "" if picture else file,
        "AudioText": "" if picture else verdict.text,
        "CheckDetail": check_detail(verdict),
        "StartTimeMs": start,
        "EndTimeMs": start + round(slice.seconds * 1000),
        "Repeated": verdict.repeated,
    }
    if raw and verdict.raw:
        facts["Raw"] = _answer(verdict.raw)
    return facts


def check_detail(verdict: Verdict) -> list[dict[str, object]]:
    """Its findings."""
    return [_detail(finding) for finding in verdict.findings]


def _detail(finding: Finding) -> dict[str, object]:
    segments = [
        {"StartTime": one.begin, "FinishTime": one.end, "Text": one.text}
        for one in finding.segments
    ]
    boxes = [
        {"X": box.x, "Y": box.y, "Width": box.width, "Height": box.height} for box in finding.boxes
    ]
    return {
        "Scene": finding.scene,
        "Label": finding.label.value,
        "Suggest": int(finding.suggest),
        "Keywords": list(finding.keywords),
        "Score": finding.score,
        "Desc": finding.description,
        "AudioSegments": segments[0] if segments else None,
        "ImageLocation": boxes[0] if boxes else None,
        "Segments": segments,
        "Boxes": boxes,
    }


def _answer(raw: str) -> object:
    if len(raw) > MAX_RAW:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw
