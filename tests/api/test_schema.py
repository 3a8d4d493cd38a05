"""The table of fields against the examples, the list of actions, and what `docs/api.md` says."""

import re
from pathlib import Path

import pytest

from slicer.api.errors import ApiError
from slicer.api.fields import Field, Reader, Table, Text, Whole, Wholes
from slicer.api.schema import ACTIONS, AUDIO_SYNC, walk
from slicer.service.order import Product
from slicer.service.settings import REGIONS
from tests.harness.service.api import seed

DOCS = (Path(__file__).parents[2] / "docs/api.md").read_text()
SEEDS = ("CreateCloudSliceTask", "CreateCloudModeration")
CREATES = (*SEEDS, "CreateLiveStreamModeration", AUDIO_SYNC)
# Nothing that any field can be.
WRONG: tuple[object, ...] = (True, 1.5, -(10**9), {"x": 1}, [{}], "\0")
SECRETS = {"UserSig", "PrivateMapKey", "AccessKey", "SecretKey", "SecretId", "Url", "Token"}


def row(path: str, field: Field) -> str:
    """A field as a row of the documentation's tables."""
    rule = field.rule
    need = "required" if field.required else "optional"
    if field.default is not None:
        need = f"default {field.default}"
    kinds = {Whole: "integer", Wholes: "list of integers", Text: "string", Table: "object"}
    kind = kinds.get(type(rule), "list of strings")
    missing = f"`{field.missing}`" if field.required else ""
    return f"| `{path}` | {kind} | {need} | {rule.allowed} | {missing} |"


def rows(action: str) -> list[str]:
    return [row(path, field) for path, field in walk(ACTIONS[action].fields)]


def test_the_actions() -> None:
    assert sorted(ACTIONS) == [
        "CreateAudioModerationSync",
        "CreateCloudModeration",
        "CreateCloudSliceTask",
        "CreateLiveStreamModeration",
        "DeleteCloudModeration",
        "DeleteCloudSliceTask",
        "DeleteLiveStreamModeration",
        "DescribeCloudModeration",
        "DescribeCloudSliceTask",
        "DescribeLiveStreamModeration",
        "ModifyCloudModeration",
        "ModifyCloudSliceTask",
    ]
    for name, action in ACTIONS.items():
        if name == AUDIO_SYNC:
            continue
        assert name.startswith(action.verb.value)
        assert ("CloudModeration" in name) == (action.product is Product.MODERATION)
        assert ("Live" in name) == (action.product is Product.LIVE)


@pytest.mark.parametrize("action", SEEDS)
def test_the_seeds_are_within_the_rules(action: str) -> None:
    values = Reader().read(ACTIONS[action].fields, seed(action))
    assert values.whole("SdkAppId") == 200806
    assert values.whole("ResourceExpiredHour") == 72


@pytest.mark.parametrize("action", ACTIONS)
def test_secrets_are_marked(action: str) -> None:
    for path, field in walk(ACTIONS[action].fields):
        is_secret = isinstance(field.rule, Text) and field.rule.secret
        assert is_secret == (field.name in SECRETS), path


def put(body: dict[str, object], path: str, value: object) -> dict[str, object]:
    """The body with a value at `A.B`."""
    name, _, rest = path.partition(".")
    inner = body.get(name)
    within = put(inner if isinstance(inner, dict) else {}, rest, value) if rest else value
    return body | {name: within}


@pytest.mark.parametrize("action", ACTIONS)
def test_whatever_a_field_cannot_be_is_refused_by_its_name(action: str) -> None:
    """With what came, unless it is a secret, and with what is allowed."""
    task: dict[str, object] = {"SdkAppId": 200806, "TaskId": "t"}
    good = seed(action) if action in CREATES else task
    for path, field in walk(ACTIONS[action].fields):
        for value in WRONG:
            with pytest.raises(ApiError) as refused:
                Reader().read(ACTIONS[action].fields, put(good, path, value))
            text = str(refused.value)
            assert re.match(r"[\w.']+(\[\d+\])?: (got .+|missing|unknown field); allowed: .", text)
            # Of an object that the example lacks, what it must have is missing first.
            outer = path.rpartition(".")[0]
            assert text.startswith(path) or (outer and outer in text), (path, value, text)
            if field.name in SECRETS and isinstance(value, str):
                assert "(not shown)" in text or "missing" in text


@pytest.mark.parametrize("action", ACTIONS)
def test_names_are_told_once_and_patterns_are_anchored_by_their_use(action: str) -> None:
    paths = [path for path, _ in walk(ACTIONS[action].fields)]
    assert len(paths) == len(set(paths))
    for _, field in walk(ACTIONS[action].fields):
        if isinstance(field.rule, Text):
            assert re.compile(field.rule.pattern)
            assert "$" not in field.rule.pattern


@pytest.mark.parametrize("action", CREATES)
def test_the_documentation_has_every_field(action: str) -> None:
    section = DOCS.split(f"### {action}\n")[1].split("\n### ")[0]
    told = [line for line in section.splitlines() if line.startswith("| `")]
    assert told == rows(action)


def test_the_documentation_names_actions_and_regions() -> None:
    assert all(f"`{name}`" in DOCS for name in ACTIONS)
    assert all(f"`{region}`" in DOCS for region in REGIONS)
