"""The public names: an embedding program needs no other."""

import dataclasses
from enum import Enum
from typing import get_args, get_type_hints

import slicer
from slicer.engine import events


def test_every_public_name_is_there_once() -> None:
    assert all(hasattr(slicer, name) for name in slicer.__all__)
    assert len(set(slicer.__all__)) == len(slicer.__all__)


def test_all_settings_can_be_built_by_public_names() -> None:
    public = {getattr(slicer, name) for name in slicer.__all__}
    sections = get_type_hints(slicer.Settings).values()
    kinds = {kind for one in sections for kind in get_type_hints(one).values()}
    enumerations = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Enum)}
    assert enumerations, "there are some"
    needed = {*sections, *enumerations}
    assert {one for one in needed if one not in public} == set()
    defaults = {name: kind() for name, kind in get_type_hints(slicer.Settings).items()}
    assert slicer.Settings(**defaults) == slicer.Settings()


def test_every_event_is_public_and_says_when_and_of_which_task() -> None:
    for kind in get_args(events.Event):
        assert kind in {getattr(slicer, name) for name in slicer.__all__}
        assert {"task", "at"} <= {one.name for one in dataclasses.fields(kind)}
