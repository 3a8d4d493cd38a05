"""What was said in an audio slice, as a JSON file beside it.

    {"task", "anchor", "slice": its key, "began": UTC, "seconds", "text",
    "words": [{"begin", "end": seconds from the slice's first sample, "text"}]}

It goes a slice's way to the store, from the verdict on.
"""

import json
from dataclasses import replace
from functools import partial

from slicer.delivery.delivery import Delivery
from slicer.media.slice import File, ManifestInfo, SliceInfo
from slicer.moderation import Verdict

_MEMORY = 200
"""Bytes of memory that a word takes."""


def delivery_of(slice: SliceInfo, verdict: Verdict) -> Delivery:
    """The transcript on its way; its key is the slice's with another extension."""
    key = slice.key.rpartition(".")[0] + ".json"
    info = ManifestInfo(key, slice.task, slice.began)
    return Delivery(info, _MEMORY * len(verdict.transcript), partial(_make, info, slice, verdict))


def _make(info: ManifestInfo, slice: SliceInfo, verdict: Verdict) -> File:
    content = {
        "task": slice.task,
        "anchor": slice.anchor,
        "slice": slice.key,
        "began": slice.began.isoformat(timespec="milliseconds"),
        "seconds": slice.seconds,
        "text": verdict.text,
        "words": [
            {"begin": round(word.begin, 2), "end": round(word.end, 2), "text": word.text}
            for word in verdict.transcript
        ],
    }
    data = json.dumps(content, ensure_ascii=False, indent=1).encode(errors="surrogatepass")
    return File(replace(info, size=len(data)), data, "application/json")
