"""The newest SDK of Tencent, read field by field: what it has, we take or say that we do not."""

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tencentcloud.trtc.v20190722 import errorcodes, models
from tencentcloud.trtc.v20190722.trtc_client import TrtcClient

from slicer.api.fields import Field, Table, Text, Texts, Whole, Wholes
from slicer.api.schema import ACTIONS, walk
from tests.harness.service.api import Caller, seed

DOCS = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
LEFT_OUT = DOCS.split("\n## What is left out\n")[1]
KINDS = {
    Whole: "int",
    Wholes: "list of int non-negative",
    Text: "str",
    Texts: "list of str",
    Table: "object",
}
_TYPE = re.compile(r":rtype: (?::class:`tencentcloud\.trtc\.v20190722\.models\.(\w+)`|(.+))")


def fields(model: str, path: str = "") -> Iterator[tuple[str, str]]:
    """Every field of a model of the SDK with its full path, and its type."""
    for name, each in vars(getattr(models, model)).items():
        if not isinstance(each, property):
            continue
        found = _TYPE.search(inspect.getdoc(each) or "")
        assert found is not None, f"{model}.{name}"
        yield path + name, found[2] or "object"
        if found[1]:
            yield from fields(found[1], f"{path}{name}.")


def kind(field: Field) -> str:
    return KINDS[type(field.rule)]


@pytest.mark.parametrize("action", ACTIONS)
def test_every_field_of_the_sdk_is_ours_and_every_one_of_ours_the_sdks(action: str) -> None:
    theirs = dict(fields(f"{action}Request"))
    ours = {path: kind(field) for path, field in walk(ACTIONS[action].fields)}
    assert ours == theirs


@pytest.mark.parametrize("action", ACTIONS)
async def test_every_answer_has_the_fields_of_the_sdks(action: str) -> None:
    """What is within `CheckDetail`: service/test_results.py."""
    body = seed(action) if action.startswith("Create") else {"SdkAppId": 200806, "TaskId": "t"}
    answer = await Caller().post(action, body)
    theirs = {path for path, _ in fields(f"{action}Response") if "CheckDetail." not in path}
    assert set(paths(answer)) == theirs


def paths(answer: Mapping[str, object], path: str = "") -> Iterator[str]:
    """Every field of an answer with its full path."""
    for name, each in answer.items():
        yield path + name
        if isinstance(each, dict):
            yield from paths(each, f"{path}{name}.")


def test_the_actions_that_slice_or_moderate_are_ours_or_said_to_be_left_out() -> None:
    theirs = [name for name in vars(TrtcClient) if re.search("Slice|Moderation", name)]
    assert set(ACTIONS) <= set(theirs)
    left = [name for name in theirs if name not in ACTIONS]
    assert left
    assert [name for name in left if f"`{name}`" not in LEFT_OUT] == []


def test_every_error_of_the_sdk_is_answered_or_said_to_be_left_out() -> None:
    theirs = {value for name, value in vars(errorcodes).items() if name.isupper()}
    assert len(theirs) > 100
    assert sorted(code for code in theirs if f"`{code}`" not in DOCS) == []


def test_nothing_is_said_to_be_left_out_that_the_sdk_does_not_have() -> None:
    theirs = {value for name, value in vars(errorcodes).items() if name.isupper()}
    said = set(re.findall(r"`(\w+(?:\.\w+)?)`", LEFT_OUT))
    assert len(said) > 100
    assert sorted(said - theirs - set(vars(TrtcClient)) - {"RequestLimitExceeded"}) == []
