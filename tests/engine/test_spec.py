"""A task's order: defaults, and nothing secret in what it shows."""

from slicer import Credentials, ImageFormat, TaskSpec


def test_defaults_are_those_of_the_cloud() -> None:
    spec = TaskSpec("whip://127.0.0.1:8080/lobby", "file:///tmp/slices")
    assert spec.params.audio is not None
    assert spec.params.video is not None
    assert (spec.params.audio.seconds, spec.params.video.seconds) == (15, 5)
    assert (spec.params.max_idle, spec.params.max_anchors) == (30, 25)
    assert spec.images is ImageFormat.PNG


def test_no_secret_is_shown() -> None:
    spec = TaskSpec("replay:///x", "s3://bucket", credentials=Credentials("AKID", "hush"))
    assert "hush" not in repr(spec)
    assert "AKID" not in repr(spec)
