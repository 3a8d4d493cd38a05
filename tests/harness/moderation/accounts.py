"""Accounts of remote suppliers before their stand-ins: what every one of them must do is tested
over this table, and what is peculiar to one in its own file, by the same two calls."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import Response

from slicer.media import ogg
from slicer.media.slice import File, SliceInfo
from slicer.moderation import Supplier, SupplierSpec, Verdict, data_id, open_supplier
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind
from tests.harness.delivery.spooling import file_of
from tests.harness.media.audio import make_audio
from tests.harness.media.opus import encode
from tests.harness.moderation import aliyun, openai, rekognition, shumei, tencent, webhook, yidun
from tests.harness.moderation.stand_in import Answering, Asked, Parts, StandIn, answer, stand_in

SettingsOf = Callable[[str], ModerationSettings]
"""What leads a supplier to the URL of its stand-in."""
PICTURE_FILE = replace(file_of("anna/1", 1000, Kind.VIDEO), width=100, height=50)
WRONG = "a-wrong-key"


def audio_file(key: str = "anna/2") -> File:
    """A second of audio."""
    return replace(file_of(key), data=ogg.write(encode(make_audio(1)), 0, 48_000))


@contextlib.asynccontextmanager
async def account(
    answering: Answering, spec: SupplierSpec, settings_of: SettingsOf
) -> AsyncIterator[tuple[Supplier, StandIn]]:
    """An account whose supplier answers so, until the end of the block."""
    async with stand_in(answering) as server:
        supplier = open_supplier(spec, settings_of(server.url))
        try:
            yield supplier, server
        finally:
            await supplier.close()


async def judged(
    answering: Answering, spec: SupplierSpec, settings_of: SettingsOf, file: File = PICTURE_FILE
) -> tuple[Verdict, StandIn]:
    """A verdict, and what the supplier was asked."""
    async with account(answering, spec, settings_of) as (supplier, server):
        return await supplier.judge(file), server


async def checked(answering: Answering, spec: SupplierSpec, settings_of: SettingsOf) -> StandIn:
    """What the supplier was asked to find out whether the account is taken."""
    async with account(answering, spec, settings_of) as (supplier, server):
        await supplier.check()
        return server


@dataclass(frozen=True)
class Several:
    """Of a supplier that takes several pictures in a request: what its stand-in says to one, of
    pictures that are named otherwise than of the rest; how it calls a picture; what stands in the
    place of one that cannot be judged, and of one that fails (None: nothing)."""

    admitted: Callable[[Asked, dict[str, Any], Parts], Response]
    name: Callable[[File], str]
    odd: dict[str, Any]
    failing: dict[str, Any] | None = None


def _data_id(file: File) -> str:
    assert isinstance(file.info, SliceInfo)
    return data_id(file.info)


@dataclass(frozen=True)
class Case:
    """A supplier: the settings that lead it to a URL with a key, what its stand-in says to a
    request that should pass or hit, and how it says that a file is none."""

    settings: Callable[[str, str], ModerationSettings]
    admitted: Callable[[Asked, dict[str, Any]], Response]
    key: str
    passes: dict[str, Any]
    hits: dict[Kind, dict[str, Any]]
    odd: Response
    spec: SupplierSpec
    several: Several | None = None

    def open(self, url: str, key: str, timeout: float = 10.0) -> Supplier:
        """The supplier at a URL, with the right key or a wrong one."""
        settings = replace(self.settings(url, key), timeout=timeout)
        return open_supplier(replace(self.spec, secret_key=key), settings)


def _tencent(name: str) -> Case:
    return Case(
        lambda url, _: ModerationSettings(tencent_endpoint=url),
        tencent.admitted,
        tencent.KEY,
        tencent.PASS,
        {Kind.VIDEO: tencent.PICTURE, Kind.AUDIO: tencent.AUDIO},
        tencent.error("InvalidParameterValue.InvalidImageContent"),
        SupplierSpec(name, "1", tencent.ID),
    )


def _shumei(url: str, _: str) -> ModerationSettings:
    return ModerationSettings(
        shumei_image_url=f"{url}/image/v4", shumei_audio_url=f"{url}/audiomessage/v4"
    )


CASES = {
    "tianyu": _tencent("tianyu"),
    "ace": _tencent("ace"),
    "shumei": Case(
        _shumei,
        shumei.admitted,
        shumei.KEY,
        shumei.PASS,
        {Kind.VIDEO: shumei.PICTURE, Kind.AUDIO: shumei.AUDIO},
        shumei.error(1902, 2005),
        SupplierSpec("shumei", shumei.APP),
        Several(
            shumei.admitted,
            lambda file: _data_id(file)[: shumei.MAX_ID],
            shumei.NO_DOWNLOAD,
            shumei.NO_SERVICE,
        ),
    ),
    "yidun": Case(
        lambda url, _: ModerationSettings(yidun_endpoint=url),
        yidun.admitted,
        yidun.KEY,
        yidun.PASS,
        {Kind.VIDEO: yidun.PICTURE, Kind.AUDIO: yidun.AUDIO},
        yidun.failed(620),
        SupplierSpec("yidun", "", yidun.ID, "", yidun.AUDIOS, yidun.IMAGES),
        Several(yidun.admitted, _data_id, yidun.FAILED),
    ),
    "aliyun": Case(
        lambda url, _: ModerationSettings(aliyun_endpoint=url),
        aliyun.admitted,
        aliyun.KEY,
        aliyun.PASS,
        {Kind.VIDEO: aliyun.PICTURE, Kind.AUDIO: aliyun.AUDIO},
        aliyun.error(400),
        SupplierSpec("aliyun", "", aliyun.ID),
    ),
    "rekognition": Case(
        lambda url, _: ModerationSettings(rekognition_endpoint=url),
        rekognition.admitted,
        rekognition.KEY,
        rekognition.PASS,
        {Kind.VIDEO: rekognition.PICTURE},
        rekognition.error("InvalidImageFormatException"),
        SupplierSpec("rekognition", "", rekognition.ID),
    ),
    "openai": Case(
        lambda url, _: ModerationSettings(openai_endpoint=f"{url}/v1"),
        openai.admitted,
        openai.KEY,
        openai.PASS,
        {Kind.VIDEO: openai.PICTURE},
        openai.error(400, "invalid_image_format"),
        SupplierSpec("openai"),
    ),
    "webhook": Case(
        lambda url, key: ModerationSettings(webhook_url=url, webhook_secret=key),
        webhook.admitted,
        webhook.SECRET,
        webhook.PASS,
        dict.fromkeys(Kind, webhook.BLOCK),
        answer({"error": "no picture"}, 422),
        SupplierSpec("webhook"),
    ),
}
