"""Moderation ordered by both of Tencent's SDKs. TRTC's example of CreateCloudModeration, word for
word: the supplier that it names is asked with the keys that it names, and every verdict reaches the
customer. And a live stream instead of a room."""

import base64
import io
import json
import wave
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from slicer import moderation
from slicer.api import Listen, make_app, open_server
from slicer.engine.settings import Settings
from slicer.errors import BadInput
from slicer.moderation.settings import ModerationSettings
from slicer.service.applications import Application
from slicer.service.serving import serving
from slicer.service.settings import ServeSettings, ServiceSettings, VendorSettings
from slicer.webhooks.settings import WebhookSettings
from tests.harness.moderation import tencent
from tests.harness.moderation.scripted import BLOCK, PASS, ScriptedSupplier, install
from tests.harness.moderation.stand_in import Asked, stand_in
from tests.harness.rooms.replay import talk
from tests.harness.rooms.streams import of_folder, served, write_hls
from tests.harness.service.api import APP, KEY, KEY_ID, SEEDS
from tests.harness.service.sdk import SDKS, Sdk
from tests.harness.service.webhook_receiver import Received, receiver

SEED = (SEEDS / "CreateCloudModeration.json").read_text()
PARAM = json.loads(SEED)["ModerationParams"]["ModerationSupplierParam"]
CALLBACK_KEY = "CallbackKey1"
SECONDS = 40.0


def settings_of(folder: Path, supplier: str, customer: str) -> ServiceSettings:
    """Of a service whose rooms are captures."""
    app = Application(
        APP.sdk_app_id,
        secrets=APP.secrets,
        rooms=(("*", f"replay://{folder}/{{room}}.rtpdump?speed=max&audio=111:opus"),),
        callback_url=customer,
        callback_key=CALLBACK_KEY,
    )
    return ServiceSettings(
        engine=Settings(moderation=ModerationSettings(tencent_endpoint=supplier)),
        serve=ServeSettings(state=str(folder / "state")),
        webhooks=WebhookSettings(allow_private=True),
        vendors=VendorSettings(cos_endpoint="http://127.0.0.1:9"),
        apps=(app,),
    )


def told(received: list[Received]) -> list[tuple[int, dict[str, Any]]]:
    """Events and their payloads, in order."""
    return [(one.event, one.told["EventInfo"]["Payload"]) for one in received]


@pytest.mark.parametrize("name", SDKS)
async def test_the_seed_word_for_word(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tencent, "ID", PARAM["SecretId"])
    monkeypatch.setattr(tencent, "KEY", PARAM["SecretKey"])
    talk(tmp_path / "150.rtpdump", SECONDS)
    numbers = count()

    def answering(asked: Asked) -> Response:
        if not asked.fields.get("FileContent"):
            return tencent.admitted(asked, tencent.PASS)  # whether the account is taken
        assert asked.fields["BizType"] == PARAM["AudioBizType"]
        return tencent.admitted(asked, tencent.AUDIO if next(numbers) == 1 else tencent.PASS)

    async with stand_in(answering) as supplier, receiver(CALLBACK_KEY) as customer:
        settings = settings_of(tmp_path, supplier.url, customer.url)
        apps = {app.sdk_app_id: app for app in settings.apps}
        async with serving(settings) as service:
            api = await open_server(make_app(apps, service), Listen("127.0.0.1", 0))
            (made,) = await Sdk(api.port, name, KEY_ID, KEY).call(("CreateCloudModeration", SEED))
            await customer.until(lambda: any(one.event == 1105 for one in customer.received), 60.0)
            await api.close()
    assert all(one.signed and one.task == made["TaskId"] for one in customer.received)
    events = told(customer.received)
    kinds = [event for event, _ in events]
    assert (kinds[0], kinds[-1]) == (1101, 1105)
    assert sorted(kinds) == [1101, 1102, 1103, 1104, 1104, 1104, 1105]
    assert kinds.index(1103) < kinds.index(1104)
    passed, hit, last = (payload for event, payload in events if event == 1104)
    assert (passed["Suggest"], passed["Label"], passed["CheckDetail"]) == (0, "Normal", [])
    assert (hit["Suggest"], hit["Label"], hit["Rate"], hit["AudioText"]) == (2, "Porn", 90, "words")
    assert {"bet"} == {word for one in hit["CheckDetail"] for word in one["Keywords"]}
    moan = next(one for one in hit["CheckDetail"] if one["AudioSegments"])
    assert moan["AudioSegments"]["StartTime"] == 0.5
    assert moan["AudioSegments"]["FinishTime"] == 1
    assert [one["EndTimeMs"] - one["StartTimeMs"] for one in (passed, hit, last)][:2] == [
        15_000
    ] * 2
    assert {one["Audio"] for one in (passed, hit, last)} == {""}, "nothing is kept"
    assert len({one["DataId"] for one in (passed, hit, last)}) == 3
    asked = {one.fields["DataId"] for one in supplier.asked if one.fields.get("FileContent")}
    assert asked == {one["DataId"] for one in (passed, hit, last)}
    assert events[-1] == (1105, {"Status": 0})


async def test_a_wrong_key_is_told_at_once(tmp_path: Path) -> None:
    """By 1106, before any slice is asked for; and once, though each slice meets it."""
    talk(tmp_path / "150.rtpdump", SECONDS)
    async with (
        stand_in(lambda asked: tencent.admitted(asked, tencent.PASS)) as supplier,
        receiver(CALLBACK_KEY) as customer,
    ):
        settings = settings_of(tmp_path, supplier.url, customer.url)
        judging = replace(settings.engine.moderation, max_age=2.0)
        settings = replace(settings, engine=replace(settings.engine, moderation=judging))
        apps = {app.sdk_app_id: app for app in settings.apps}
        async with serving(settings) as service:
            api = await open_server(make_app(apps, service), Listen("127.0.0.1", 0))
            await Sdk(api.port, "trtc", KEY_ID, KEY).call(("CreateCloudModeration", SEED))
            await customer.until(lambda: any(one.event == 1105 for one in customer.received), 60.0)
            await api.close()
    assert not supplier.asked[0].fields.get("FileContent"), "the account alone"
    troubles = [payload for event, payload in told(customer.received) if event == 1106]
    assert [trouble["Code"] for trouble in troubles] == [9, 8, 8, 8]
    for trouble in troubles:
        assert "AuthFailure.SecretIdNotFound" in trouble["Message"]
        assert PARAM["SecretKey"] not in trouble["Message"]
    assert 1104 not in {one.event for one in customer.received}


@pytest.mark.parametrize("name", SDKS)
async def test_a_live_stream(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK for other countries has no such action yet; its client for any action calls it."""
    supplier = ScriptedSupplier(lambda file: BLOCK if file.content_type == "image/png" else PASS)
    install(monkeypatch, supplier, "trtc")
    write_hls(tmp_path)
    with served(of_folder(tmp_path)) as site:
        order = {
            "SdkAppId": APP.sdk_app_id,
            "Input": {"Url": f"http://127.0.0.1:{site.port}/index.m3u8"},
            "LiveModerationParams": {"SliceVideo": 1, "SaveModerationFile": 0},
            "DataId": "mine",
            "SourceInfo": {"RoomId": "show", "RoomIdType": 0, "UserId": "ada"},
        }
        async with receiver(CALLBACK_KEY) as customer:
            settings = settings_of(tmp_path, "http://127.0.0.1:9", customer.url)
            (app,) = settings.apps
            settings = replace(settings, apps=(replace(app, streams=("http://127.0.0.1:*",)),))
            apps = {app.sdk_app_id: app for app in settings.apps}
            async with serving(settings) as service:
                api = await open_server(make_app(apps, service), Listen("127.0.0.1", 0))
                sdk = Sdk(api.port, name, KEY_ID, KEY)
                elsewhere = order | {"Input": {"Url": "http://10.0.0.1/index.m3u8"}}
                made, refused = await sdk.call(
                    *(("CreateLiveStreamModeration", json.dumps(one)) for one in (order, elsewhere))
                )
                assert "TaskId" in made, made
                assert refused["code"] == "FailedOperation.CSUnsupportMethod"
                await customer.until(lambda: any(one.event == 1105 for one in customer.received))
                task = json.dumps({"SdkAppId": APP.sdk_app_id, "TaskId": made["TaskId"]})
                gone = await sdk.call(
                    ("DescribeLiveStreamModeration", task), ("DeleteLiveStreamModeration", task)
                )
                assert [one["code"] for one in gone] == ["FailedOperation.TaskFinished"] * 2
                await api.close()
    for one in customer.received:
        info = one.told["EventInfo"]
        assert one.event // 100 == 11
        assert (info["RoomId"], info["DataId"]) == ("show", "mine")
        assert info["SourceInfo"] == order["SourceInfo"]
    results = [one.told["EventInfo"] for one in customer.received if one.event == 1104]
    assert {info["StreamerUserId"] for info in results} == {"ada"}
    verdicts = {(one["Payload"]["MediaType"], one["Payload"]["Suggest"]) for one in results}
    assert verdicts == {(1, 0), (2, 2)}


@pytest.mark.parametrize("name", SDKS)
async def test_an_audio_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ScriptedSupplier(lambda _file: BLOCK), "trtc")
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(bytes(48_000 * 2 * 20))  # 1.9 MB: more than other requests may have
    body = {
        "Sdkappid": APP.sdk_app_id,
        "DataId": "mine",
        "FileFormat": "wav",
        "FileContent": base64.b64encode(made.getvalue()).decode(),
    }
    settings = settings_of(tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:9/")
    async with serving(settings) as service:
        app = make_app({one.sdk_app_id: one for one in settings.apps}, service)
        api = await open_server(app, Listen("127.0.0.1", 0))
        sdk = Sdk(api.port, name, KEY_ID, KEY)
        action = "CreateAudioModerationSync"
        judged, refused = await sdk.call(
            (action, json.dumps(body)), (action, json.dumps(body | {"FileContent": "AAAA"}))
        )
        await api.close()
    assert (judged["DataId"], judged["Suggest"], judged["Label"]) == ("mine", 2, "Porn")
    assert judged["Duration"] == pytest.approx(20_000, abs=100)
    assert refused["code"] == "InvalidParameterValue"
    assert refused["message"].startswith("FileContent: got '3 bytes'; allowed: a wav file")


PARAMS, ACCOUNT = "ModerationParams", "ModerationParams.ModerationSupplierParam"
REFUSED: list[tuple[dict[str, dict[str, object]], str, str]] = [
    ({PARAMS: {"ModerationSupplier": "nobody"}}, "InvalidParameterValue", PARAMS),
    ({PARAMS: {"ModerationType": 9}}, "InvalidParameter.OutOfRange", f"{PARAMS}.ModerationType"),
    ({ACCOUNT: {"SecretKey": ""}}, "MissingParameter.SecretKey", f"{ACCOUNT}.SecretKey"),
    ({ACCOUNT: {"AppID": ""}, PARAMS: {"ModerationSupplier": "shumei"}}, "MissingParameter.AppId",
     f"{ACCOUNT}.AppID"),
    ({ACCOUNT: {"SecretId": ""}}, "InvalidParameterValue", "ModerationSupplierParam.SecretId"),
    ({ACCOUNT: {"AudioBizType": ""}, PARAMS: {"ModerationSupplier": "Yidun"}},
     "FailedOperation.CSUnsupportMethod", "ModerationSupplier: got 'yidun'"),
    ({PARAMS: {"ModerationSupplier": "openai"}},
     "FailedOperation.CSUnsupportMethod", "ModerationSupplier: got 'openai'"),
    ({PARAMS: {"ModerationSupplier": "local"}},
     "FailedOperation.CSUnsupportMethod", "ModerationSupplier: got 'local'"),
    ({PARAMS: {"ModerationSupplier": "webhook"}}, "FailedOperation.CSUnsupportMethod",
     "ModerationSupplier: it does not work here, for want of the setting moderation.webhook_url"),
    ({PARAMS: {"ModerationSupplier": "rekognition"}},
     "FailedOperation.CSUnsupportMethod", "ModerationSupplier: got 'rekognition'"),
]  # fmt: skip
"""What is changed in the seed, and the code and the field that it is refused by."""


@pytest.mark.parametrize("name", SDKS)
async def test_an_order_that_cannot_be_carried_out_is_refused_by_its_field(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audio is to be judged; and what `rekognition` needs is not installed."""
    talk(tmp_path / "150.rtpdump", 1)
    monkeypatch.setitem(moderation.SDKS, "rekognition", ("not_installed",))
    settings = settings_of(tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:9/")
    orders = []
    for changes, _, _ in REFUSED:
        order = json.loads(SEED)
        order[PARAMS] |= changes.get(PARAMS, {})
        order[PARAMS]["ModerationSupplierParam"] |= changes.get(ACCOUNT, {})
        orders.append(("CreateCloudModeration", json.dumps(order)))
    async with serving(settings) as service:
        app = make_app({one.sdk_app_id: one for one in settings.apps}, service)
        api = await open_server(app, Listen("127.0.0.1", 0))
        answers = await Sdk(api.port, name, KEY_ID, KEY).call(*orders)
        await api.close()
    for answer, (_, code, field) in zip(answers, REFUSED, strict=True):
        assert (answer.get("code"), str(answer.get("message"))[: len(field)]) == (code, field)
        assert PARAM["SecretKey"] not in str(answer)


async def test_a_model_s_folder_that_is_none_stops_the_start(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:9/")
    judging = replace(settings.engine.moderation, local_whisper=str(tmp_path))
    settings = replace(settings, engine=replace(settings.engine, moderation=judging))
    with pytest.raises(BadInput, match=r"moderation\.local_whisper: .* model\.bin is not there"):
        async with serving(settings):
            pass
