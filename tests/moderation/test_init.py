"""Verdicts, the ids that tie them to slices, and the table of suppliers."""

import pytest

from slicer.errors import BadInput
from slicer.moderation import (
    SUPPLIERS,
    Finding,
    Label,
    Suggest,
    SupplierSpec,
    Verdict,
    data_id,
    installed,
    one_that_judges,
    open_supplier,
)
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind
from tests.harness.delivery.spooling import info_of
from tests.harness.moderation.scripted import ScriptedSupplier, install


def test_a_verdict_is_that_of_the_worst_finding() -> None:
    findings = (
        Finding(Label.AD, Suggest.REVIEW, 99),
        Finding(Label.ABUSE, Suggest.BLOCK, 70),
        Finding(Label.PORN, Suggest.BLOCK, 80),
    )
    verdict = Verdict.of(findings, "text", "request")
    assert (verdict.suggest, verdict.label, verdict.score) == (Suggest.BLOCK, Label.PORN, 80)
    assert (verdict.findings, verdict.text, verdict.request) == (findings, "text", "request")
    assert verdict.hit
    assert not Verdict.of((), "text").hit
    assert Verdict.of((Finding(Label.AD, Suggest.REVIEW, 1),)).hit


def test_an_account_is_the_same_by_all_its_names_and_policies() -> None:
    spec = SupplierSpec("tianyu", "", "AKID", "key", "audio", "image")
    assert spec.account == SupplierSpec("ace", "", "AKID", "key").account
    for other in ("shumei", "acme"):
        assert spec.account != SupplierSpec(other, "", "AKID", "key").account
    assert spec.account != SupplierSpec("ace", "", "AKID", "another").account
    assert "key" not in repr(spec.account).replace("_key", "")


def test_a_slice_s_id_is_always_the_same_and_fits_every_supplier() -> None:
    ids = {data_id(info_of(f"a/{number}")) for number in range(100)}
    assert len(ids) == 100
    assert data_id(info_of("a/1")) == data_id(info_of("a/1", 77))
    assert all(len(one) == 32 and one.isalnum() for one in ids)
    assert data_id(info_of("a/\ud800"))


def test_a_supplier_is_opened_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    supplier = ScriptedSupplier()
    install(monkeypatch, supplier, "acme")
    monkeypatch.setattr("slicer.moderation.SUPPLIERS", {"acme": SUPPLIERS["acme"]})
    assert open_supplier(SupplierSpec("acme"), ModerationSettings()) is supplier
    with pytest.raises(BadInput, match=r"supplier: got 'other'; allowed: acme"):
        open_supplier(SupplierSpec("other"), ModerationSettings())
    monkeypatch.setattr("slicer.moderation.SDKS", {"acme": ("no_such_package",)})
    assert not installed("acme")
    with pytest.raises(BadInput, match="none is there; acme lacks no_such_package"):
        open_supplier(SupplierSpec("acme"), ModerationSettings())


def test_what_an_account_lacks_is_named_and_nothing_else_is_shown() -> None:
    account = SupplierSpec("acme", secret_id="id", secret_key="hidden")
    account.require("secret_id", "secret_key")
    with pytest.raises(BadInput, match=r"supplier\.app_id: got ''") as caught:
        account.require("secret_key", "app_id", "image_type")
    assert "hidden" not in str(caught.value)


def test_no_account_shows_its_key() -> None:
    assert "hidden" not in repr(SupplierSpec("acme", "1", "id", "hidden"))


@pytest.mark.parametrize("name", SUPPLIERS)
def test_names_are_in_small_letters(name: str) -> None:
    assert name == name.lower()


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("local", Kind.AUDIO, "with moderation.local_whisper set it judges audio, too"),
        ("yidun", Kind.VIDEO, "with ImageBizType set it judges video, too"),
        ("openai", Kind.AUDIO, "this one judges nothing"),
    ],
)
def test_what_a_supplier_needs_to_judge_a_kind_is_said(name: str, kind: Kind, said: str) -> None:
    told = one_that_judges(kind, name, ())
    assert told.startswith(f"a supplier that judges {kind}; ")
    assert told.endswith(said)
