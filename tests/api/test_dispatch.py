"""What is checked of a request before it is carried out, each fault with its code; every code."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from slicer.api.dispatch import ApiSettings, is_loopback
from slicer.api.signature import Message
from slicer.errors import BadInput, LimitReached, RoomError, TaskEnded, TaskNotExist
from slicer.service.audit import MAX_TEXT
from tests.harness.service.api import (
    APP,
    KEY,
    KEY_ID,
    NOW,
    OTHER,
    Caller,
    authorize,
    code_of,
    failing,
    message_of,
    seed,
)

SLICE, MODERATION = "CreateCloudSliceTask", "CreateCloudModeration"
TASK: dict[str, object] = {"SdkAppId": 200806, "TaskId": "t"}
STORAGE = ("SliceStorageParams", "CloudSliceStorage")
DOCS = (Path(__file__).parents[2] / "docs/api.md").read_text()

# The error codes of the two seed pages: both list the same.
SEED_CODES = {
    "AuthFailure",
    "AuthFailure.UnRealNameAuthenticated",
    "AuthFailure.UnauthorizedOperation",
    "AuthFailure.UnsupportedOperation",
    "FailedOperation",
    "FailedOperation.CSUnsupportMethod",
    "FailedOperation.RestrictedConcurrency",
    "InternalError.CSInternalError",
    "InvalidParameter.OutOfRange",
    "InvalidParameter.SdkAppId",
    "MissingParameter.AccessKey",
    "MissingParameter.Bucket",
    "MissingParameter.Region",
    "MissingParameter.RoomId",
    "MissingParameter.SdkAppId",
    "MissingParameter.SecretKey",
    "MissingParameter.SliceParams",
    "MissingParameter.SliceStorageParams",
    "MissingParameter.SliceType",
    "MissingParameter.TaskId",
    "MissingParameter.UserId",
    "MissingParameter.UserSig",
    "MissingParameter.Vendor",
    "UnsupportedOperation",
}
# Never answered, and why: `docs/api.md` says it too.
NOT_REACHABLE = {"AuthFailure.UnRealNameAuthenticated": "nobody's identity is verified here"}


def without(action: str, *path: str) -> dict[str, object]:
    """A seed less one field."""
    return changed(action, None, *path)


def changed(action: str, value: object, *path: str) -> dict[str, object]:
    """A seed with another value in one field; None takes it out."""
    body = at = seed(action)
    for folder in path[:-1]:
        inner = at[folder]
        assert isinstance(inner, dict)
        at = inner
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return body


# Code → a request that is answered so.
BY_FIELDS: list[tuple[str, str, dict[str, object]]] = [
    ("InvalidParameter.OutOfRange", SLICE, changed(SLICE, 14, "SliceParams", "SliceAudio")),
    ("InvalidParameter.OutOfRange", SLICE, changed(SLICE, 721, "ResourceExpiredHour")),
    ("InvalidParameter.OutOfRange", MODERATION, changed(MODERATION, 73, "ResourceExpiredHour")),
    ("InvalidParameter.SdkAppId", SLICE, changed(SLICE, 1, "SdkAppId")),
    ("InvalidParameter.SdkAppId", SLICE, changed(SLICE, 0, "SdkAppId")),
    ("InvalidParameter.SdkAppId", SLICE, changed(SLICE, 2**63, "SdkAppId")),
    ("InvalidParameter.RoomId", SLICE, changed(SLICE, "0", "RoomId")),
    ("InvalidParameter.UserId", SLICE, changed(SLICE, "a b", "UserId")),
    ("InvalidParameter.UserSig", SLICE, changed(SLICE, "a\n", "UserSig")),
    ("InvalidParameter", SLICE, changed(SLICE, "200806", "SdkAppId")),
    ("InvalidParameter", SLICE, changed(SLICE, True, "SliceParams", "SliceType")),
    ("InvalidParameter", SLICE, changed(SLICE, 150, "RoomId")),
    ("InvalidParameterValue", SLICE, changed(SLICE, ["a/b"], *STORAGE, "FileNamePrefix")),
    ("MissingParameter.SdkAppId", SLICE, without(SLICE, "SdkAppId")),
    ("MissingParameter.RoomId", SLICE, without(SLICE, "RoomId")),
    ("MissingParameter.UserId", SLICE, without(SLICE, "UserId")),
    ("MissingParameter.UserSig", SLICE, without(SLICE, "UserSig")),
    ("MissingParameter.SliceParams", SLICE, without(SLICE, "SliceParams")),
    ("MissingParameter.SliceParams", MODERATION, without(MODERATION, "ModerationParams")),
    ("MissingParameter.SliceType", SLICE, without(SLICE, "SliceParams", "SliceType")),
    ("MissingParameter.SliceStorageParams", SLICE, without(SLICE, "SliceStorageParams")),
    ("MissingParameter.SliceStorageParams", SLICE, without(SLICE, *STORAGE)),
    ("MissingParameter.Vendor", SLICE, without(SLICE, *STORAGE, "Vendor")),
    ("MissingParameter.Region", SLICE, without(SLICE, *STORAGE, "Region")),
    ("MissingParameter.Bucket", SLICE, without(SLICE, *STORAGE, "Bucket")),
    ("MissingParameter.AccessKey", SLICE, without(SLICE, *STORAGE, "AccessKey")),
    ("MissingParameter.SecretKey", SLICE, without(SLICE, *STORAGE, "SecretKey")),
    ("MissingParameter.TaskId", "DescribeCloudSliceTask", {"SdkAppId": 200806}),
    ("MissingParameter.TaskId", "ModifyCloudModeration", {"SdkAppId": 200806}),
    ("UnsupportedOperation", MODERATION, changed(MODERATION, 4, "ModerationParams", "ModerationType")),  # noqa: E501
    ("UnsupportedOperation", MODERATION, changed(MODERATION, 5, "ModerationParams", "ModerationType")),  # noqa: E501
    ("UnknownParameter", SLICE, changed(SLICE, 1, "SliceParams", "Foo")),
    ("UnknownParameter", MODERATION, changed(MODERATION, "x", "PrivateMapKey")),
]  # fmt: skip
BY_HEADERS = {
    "AuthFailure": {"authorization": ""},
    "AuthFailure.UnsupportedOperation": {"authorization": "HMAC-SHA1 x"},
    "AuthFailure.InvalidAuthorization": {"authorization": "TC3-HMAC-SHA256 x"},
    "AuthFailure.TokenFailure": {"x_tc_token": "t"},
    "AuthFailure.SignatureExpire": {"x_tc_timestamp": str(NOW - 301)},
    "AuthFailure.SignatureFailure": {
        "authorization": f"TC3-HMAC-SHA256 Credential={KEY_ID}/2025-06-15/trtc/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={'0' * 64}"
    },
    "AuthFailure.SecretIdNotFound": {
        "authorization": "TC3-HMAC-SHA256 Credential=nobody/2025-06-15/trtc/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={'0' * 64}"
    },
    "InvalidAction": {"x_tc_action": "CreateCloudRecording"},
    "NoSuchVersion": {"x_tc_version": ""},
    "UnsupportedRegion": {"x_tc_region": "ap-nowhere"},
    "MissingParameter": {"x_tc_region": ""},
    "UnsupportedProtocol": {"content_type": "text/plain"},
}
BY_BODY = {
    "InvalidRequest": b"{",
    "InvalidRequest.DuplicateKey": b'{"SdkAppId": 1, "SdkAppId": 1}',
    "InvalidRequest.TooDeep": b'{"SdkAppId":' * 100 + b"1" + b"}" * 100,
    "InvalidRequest.NumberTooLong": b'{"SdkAppId": %s}' % (b"9" * 5_000),
}
BY_SERVICE: dict[str, Exception] = {
    "FailedOperation": RoomError("the room does not answer"),
    "FailedOperation.CSUnsupportMethod": BadInput("vendor", 0, "1"),
    "FailedOperation.RestrictedConcurrency": LimitReached("500 streams"),
    "FailedOperation.TaskNotExist": TaskNotExist("no task has this id"),
    "FailedOperation.TaskFinished": TaskEnded("the task has ended"),
    "InternalError.CSInternalError": ZeroDivisionError("planted"),
}


@pytest.mark.parametrize(("code", "action", "body"), BY_FIELDS)
async def test_fields(code: str, action: str, body: dict[str, object]) -> None:
    caller = Caller()
    answer = await caller.post(action, body)
    assert code_of(answer) == code
    assert "allowed: " in message_of(answer)
    assert caller.orders.orders == []


@pytest.mark.parametrize("code", BY_HEADERS)
async def test_headers(code: str) -> None:
    assert await Caller().code(SLICE, seed(SLICE), **BY_HEADERS[code]) == code


@pytest.mark.parametrize("region", ["ap-guangzhou", "ap-beijing", "ap-shanghai", "ap-singapore"])
async def test_the_regions_of_the_mainland_are_answered_unless_the_settings_say_less(
    region: str,
) -> None:
    told = {"x_tc_region": region}
    assert "TaskId" in await Caller().post(SLICE, seed(SLICE), **told)
    less = Caller(settings=replace(ApiSettings(), regions=("ap-singapore",)))
    answer = await less.post(SLICE, seed(SLICE), **told)
    if region == "ap-singapore":
        assert "TaskId" in answer
    else:
        assert code_of(answer) == "UnsupportedRegion"
        assert message_of(answer).endswith("allowed: ap-singapore")


@pytest.mark.parametrize("code", BY_BODY)
async def test_bodies(code: str) -> None:
    assert await Caller().code(SLICE, BY_BODY[code]) == code


@pytest.mark.parametrize("code", BY_SERVICE)
@pytest.mark.parametrize("action", ["Create", "Describe", "Modify", "Delete"])
async def test_what_the_service_says(code: str, action: str) -> None:
    caller = failing(BY_SERVICE[code])
    body = seed(SLICE) if action == "Create" else TASK
    answer = await caller.post(f"{action}CloudSliceTask", body)
    assert code_of(answer) == code
    assert "planted" not in message_of(answer)


async def test_the_key_of_another_application() -> None:
    body = changed(SLICE, OTHER.sdk_app_id, "SdkAppId")
    assert await Caller().code(SLICE, body) == "AuthFailure.UnauthorizedOperation"


def test_every_code_of_the_seeds_is_reached_or_excused() -> None:
    tested = {code for code, _, _ in BY_FIELDS} | set(BY_HEADERS) | set(BY_BODY) | set(BY_SERVICE)
    tested.add("AuthFailure.UnauthorizedOperation")
    assert SEED_CODES - tested == set(NOT_REACHABLE)
    others = {"RequestLimitExceeded", "RequestSizeLimitExceeded", "AuthFailure.SignatureReplayed"}
    for code in tested | SEED_CODES | others | {"MissingParameter.AppId"}:
        assert f"| `{code}` |" in DOCS, code


async def test_a_moderation_body_under_the_slice_action() -> None:
    # The seed's moderation example has this header (spec 8).
    assert await Caller().code(SLICE, seed(MODERATION)) == "MissingParameter.SliceParams"


async def test_twenty_a_second_for_each_action_and_application() -> None:
    caller = Caller()
    for _ in range(20):
        assert await caller.code("DescribeCloudSliceTask", TASK) == ""
    answer = await caller.post("DescribeCloudSliceTask", TASK)
    assert code_of(answer) == "RequestLimitExceeded"
    assert "allowed: 20 a second" in message_of(answer)
    assert await caller.code("DescribeCloudModeration", TASK) == ""
    caller.monotonic = 1.0
    assert await caller.code("DescribeCloudSliceTask", TASK) == ""


async def test_strangers_do_not_use_up_the_rate() -> None:
    caller = Caller()
    for _ in range(30):
        code = await caller.code("DescribeCloudSliceTask", TASK, **BY_HEADERS["AuthFailure"])
        assert code == "AuthFailure"
    assert await caller.code("DescribeCloudSliceTask", TASK) == ""


async def test_a_replayed_create_or_modify_is_refused() -> None:
    caller = Caller()
    assert await caller.code(SLICE, seed(SLICE)) == ""
    caller.now += 3
    stale = {"x_tc_timestamp": str(NOW)}
    headers = {"content-type": "application/json", "host": "127.0.0.1", "x-tc-timestamp": str(NOW)}
    message = Message("POST", "/", "", headers, json.dumps(seed(SLICE)).encode())
    stale["authorization"] = authorize(message, NOW, KEY_ID, KEY)
    assert await caller.code(SLICE, seed(SLICE), **stale) == "AuthFailure.SignatureReplayed"
    assert len(caller.orders.orders) == 1
    # The same order under a new timestamp is a new order.
    assert await caller.code(SLICE, seed(SLICE)) == ""
    lists = TASK | {"SubscribeStreamUserIds": {}}
    assert await caller.code("ModifyCloudSliceTask", lists, x_tc_nonce="7") == ""
    code = await caller.code("ModifyCloudSliceTask", lists, x_tc_nonce="7")
    assert code == "AuthFailure.SignatureReplayed"


async def test_two_equal_creates_of_one_second_are_two_unless_they_carry_one_nonce() -> None:
    caller = Caller()
    assert await caller.code(SLICE, seed(SLICE)) == ""
    assert await caller.code(SLICE, seed(SLICE)) == ""
    assert len(caller.orders.orders) == 2
    assert await caller.code(SLICE, seed(SLICE), x_tc_nonce="42") == ""
    code = await caller.code(SLICE, seed(SLICE), x_tc_nonce="42")
    assert code == "AuthFailure.SignatureReplayed"
    assert len(caller.orders.orders) == 3
    assert await caller.code(SLICE, seed(SLICE), x_tc_nonce="1" * 65) == "InvalidParameterValue"


async def test_describe_and_delete_may_be_repeated() -> None:
    caller = Caller()
    for action in ("DescribeCloudSliceTask", "DeleteCloudSliceTask"):
        assert await caller.code(action, TASK) == ""
        assert await caller.code(action, TASK) == ""
        caller.now += 1


DELETED, MODIFIED = "DeleteCloudSliceTask", "ModifyCloudSliceTask"
DESCRIBED = "DescribeCloudSliceTask"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (DESCRIBED, DELETED),
        (DESCRIBED, MODIFIED),
        (DESCRIBED, "DeleteCloudModeration"),
        (MODIFIED, DELETED),
        (DELETED, MODIFIED),
    ],
)
async def test_a_signature_carries_out_what_it_was_first_seen_with(first: str, then: str) -> None:
    caller = Caller()
    assert await caller.code(first, TASK) == ""
    answer = await caller.post(then, TASK)
    assert code_of(answer) == "AuthFailure.SignatureReplayed"
    assert f"this signature came with {first} before" in message_of(answer)
    assert caller.orders.deleted == (["t"] if first == DELETED else [])
    caller.now += 1
    assert await caller.code(then, TASK) == ""


async def test_describe_comes_under_any_signature() -> None:
    caller = Caller()
    for action in (DELETED, DESCRIBED, "DescribeCloudModeration", DELETED):
        assert await caller.code(action, TASK) == ""


async def test_an_action_that_was_refused_is_the_first_use_all_the_same() -> None:
    caller = Caller()
    caller.orders.error = TaskNotExist("no such task")
    assert await caller.code(DESCRIBED, TASK) == "FailedOperation.TaskNotExist"
    caller.orders.error = None
    assert await caller.code(DELETED, TASK) == "AuthFailure.SignatureReplayed"


async def test_an_action_that_is_signed_is_a_signature_of_its_own() -> None:
    caller = Caller()
    for action in (DESCRIBED, DELETED):
        headers = {"content-type": "application/json", "host": "127.0.0.1", "x-tc-action": action}
        message = Message("POST", "/", "", headers, json.dumps(TASK).encode())
        signed = authorize(message, NOW, also=("x-tc-action",))
        assert await caller.code(action, TASK, authorization=signed) == ""


async def test_an_unsigned_body_is_part_of_the_use() -> None:
    caller = Caller()
    unsigned = {"x_tc_content_sha256": "UNSIGNED-PAYLOAD"}
    other = TASK | {"TaskId": "u"}
    assert await caller.code(DELETED, TASK, **unsigned) == ""
    assert await caller.code(DELETED, TASK, **unsigned) == ""
    assert await caller.code(DELETED, other, **unsigned) == "AuthFailure.SignatureReplayed"
    assert await caller.code(DESCRIBED, other, **unsigned) == ""
    assert caller.orders.deleted == ["t", "t"]


@pytest.mark.parametrize(
    ("hosts", "host", "allowed"),
    [
        ((), "slicer.example:8088", True),
        ((), "trtc.tencentcloudapi.com", False),
        ((), "TRTC.intl.TencentCloudAPI.com:443", False),
        (("slicer.example", "10.0.0.1"), "Slicer.Example:8088", True),
        (("slicer.example", "10.0.0.1"), "10.0.0.1", True),
        (("Slicer.Example",), "slicer.example", True),
        (("slicer.example",), "127.0.0.1", False),
        (("slicer.example",), "a.slicer.example", False),
        (("trtc.tencentcloudapi.com",), "trtc.tencentcloudapi.com", True),
        (("::1",), "[::1]:8088", True),
    ],
)
async def test_a_signature_for_another_host(
    hosts: tuple[str, ...], host: str, allowed: bool
) -> None:
    caller = Caller(settings=ApiSettings(hosts=hosts))
    answer = await caller.post(DELETED, TASK, host=host)
    assert code_of(answer) == ("" if allowed else "AuthFailure.SignatureFailure")
    assert bool(caller.orders.deleted) is allowed
    assert allowed or "Host: signed for" in message_of(answer)


async def test_get_with_a_flattened_query() -> None:
    caller = Caller()
    query = "SdkAppId=200806&TaskId=t&SubscribeStreamUserIds.UnSubscribeAudioUserIds.0=ann"
    assert code_of(await caller.get("ModifyCloudSliceTask", query)) == ""
    ((task, lists),) = caller.orders.modified
    assert task == "t"
    assert lists.audio.block.exact == {"ann"}
    answer = await caller.get("ModifyCloudSliceTask", "SdkAppId=x&TaskId=t")
    assert code_of(answer) == "InvalidParameter"


INSECURE = ApiSettings(insecure=True)


async def test_insecure_asks_for_no_signature_on_loopback() -> None:
    caller = Caller(settings=INSECURE)
    assert await caller.code(SLICE, seed(SLICE), authorization="") == ""
    assert await caller.code(SLICE, seed(SLICE), authorization="", host="[::1]:8080") == ""
    assert await caller.code(SLICE, seed(SLICE), authorization="", host="localhost") == ""
    tccli = "http://127.0.0.1:8080"
    assert await caller.code(SLICE, seed(SLICE), authorization="", host=tccli) == ""
    for host in ("evil.example", "http://evil.example", "evil.example:80", "[", ""):
        assert await caller.code(SLICE, seed(SLICE), authorization="", host=host) == "AuthFailure"


async def test_usersig_is_verified() -> None:
    caller = Caller(apps={200806: replace(APP, usersig_key="k")})
    answer = await caller.post(SLICE, seed(SLICE))
    assert code_of(answer) == "InvalidParameter.UserSig"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.org", "", "localhost.x"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


async def test_who_creates_modifies_and_deletes_is_noted() -> None:
    caller = Caller()
    created = await caller.post(SLICE, seed(SLICE))
    for action in ("DescribeCloudSliceTask", "ModifyCloudSliceTask", "DeleteCloudSliceTask"):
        caller.now += 1  # another signature
        await caller.post(action, TASK)
    who = f"{KEY_ID} (127.0.0.1)"
    assert {(one.who, one.kind) for one in caller.noted} == {(who, "api")}
    assert [one.at - NOW for one in caller.noted] == [0, 2, 3]
    assert [(one.what, one.detail) for one in caller.noted] == [
        (SLICE, f"application 200806, task {created['TaskId']}: ok"),
        ("ModifyCloudSliceTask", "application 200806, task t: ok"),
        ("DeleteCloudSliceTask", "application 200806, task t: ok"),
    ]


async def test_what_came_of_it_is_noted() -> None:
    refused = failing(TaskEnded("task t has ended"))
    await refused.post("DeleteCloudSliceTask", TASK)
    refused.now += 1
    await refused.post(SLICE, changed(SLICE, None, "RoomId"))
    long = TASK | {"TaskId": "x" * 500}
    await refused.post("DeleteCloudSliceTask", long)
    assert [one.detail for one in refused.noted[:2]] == [
        "application 200806, task t: FailedOperation.TaskFinished",
        "application 200806, task none: MissingParameter.RoomId",
    ]
    assert refused.noted[2].detail.endswith("xx: InvalidParameterValue")
    assert len(refused.noted[2].detail) < MAX_TEXT


async def test_without_signatures_the_address_is_noted() -> None:
    caller = Caller(settings=ApiSettings(insecure=True))
    await caller.post("DeleteCloudSliceTask", TASK)
    assert [one.who for one in caller.noted] == ["127.0.0.1"]
