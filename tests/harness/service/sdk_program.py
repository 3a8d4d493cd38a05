"""A program of a customer of TRTC, on Tencent's own SDK: calls from stdin, answers to stdout.

It runs in a process of its own, with whichever SDK is on its path, and knows nothing of ours.
"""

import json
import sys
import time
from typing import Any

from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.trtc.v20190722 import models
from tencentcloud.trtc.v20190722.trtc_client import TrtcClient

VERSION = "2019-07-22"


def answer(client: Any, action: str, body: str) -> dict[str, Any]:
    """One call by the SDK's typed method; what it gives back, or raises, and when (UTC, ms)."""
    called = time.time_ns() // 1_000_000
    given = call(client, action, body)
    return given | {"called": called, "returned": time.time_ns() // 1_000_000}


def call(client: Any, action: str, body: str) -> dict[str, Any]:
    try:
        if not hasattr(client, action):
            return uncommon(client, action, body)
        request = getattr(models, f"{action}Request")()
        request.from_json_string(body)
        response = getattr(client, action)(request)
    except TencentCloudSDKException as error:
        return {"code": error.code, "message": error.message, "request_id": error.requestId}
    made: dict[str, Any] = json.loads(response.to_json_string())
    return made


def uncommon(client: Any, action: str, body: str) -> dict[str, Any]:
    """An action that this SDK is too old for, by its client for any action."""
    common = CommonClient("trtc", VERSION, client.credential, client.region, client.profile)
    answer: dict[str, Any] = common.call_json(action, json.loads(body))["Response"]
    return answer


def next_second() -> None:
    """The SDK signs the body and the second, not the action: two actions of one body within one
    second would come under one signature, which is good for the first of them."""
    time.sleep(1.01 - time.time() % 1)


def main() -> None:
    told = json.load(sys.stdin)
    http = HttpProfile(
        endpoint=told["endpoint"], protocol="http", reqMethod=told["method"], reqTimeout=10
    )
    profile = ClientProfile(httpProfile=http, signMethod=told["sign"])
    profile.unsignedPayload = told["unsigned_payload"]
    client = TrtcClient(Credential(told["id"], told["key"]), told["region"], profile)
    answers, bodies = [], set()
    for action, body in told["calls"]:
        if body in bodies:
            next_second()
        bodies.add(body)
        answers.append(answer(client, action, body))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
