"""What each command tells of itself: settings, sources and the endpoint."""

import argparse
import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from slicer import __version__
from slicer.cli.observability import TEXTS, Metrics, Observability, log_settings_of
from slicer.engine.sample import Sample
from slicer.errors import BadInput
from slicer.logs.settings import Level, LogFormat, LogSettings
from slicer.metrics.endpoint import open_metrics
from slicer.metrics.exposition import PREFIX
from slicer.metrics.settings import TracingSettings


def test_its_tables_are_read_from_the_file_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slicer.toml"
    path.write_text("[log]\nlevel = 'error'\n[metrics]\nlisten = '127.0.0.1:1'\n[serve]\nport=1\n")
    monkeypatch.setenv("SLICER_TRACING_ENDPOINT", "http://127.0.0.1:4318/v1/traces")
    found = Observability.load(argparse.Namespace(config=path))
    assert found.log.level is Level.ERROR
    assert found.metrics.listen == "127.0.0.1:1"
    assert found.tracing.endpoint == "http://127.0.0.1:4318/v1/traces"


def test_how_a_command_logs(tmp_path: Path) -> None:
    path = tmp_path / "slicer.toml"
    path.write_text("[log]\nformat = 'json'\n")
    named = {"config": path, "log_format": None}
    foreground = log_settings_of(argparse.Namespace(**named))
    assert (foreground.level, foreground.format) == (Level.WARNING, LogFormat.JSON)
    background = log_settings_of(argparse.Namespace(**named, background=True))
    assert background.level is Level.INFO
    chosen = log_settings_of(argparse.Namespace(config=path, log_format="text"))
    assert chosen.format is LogFormat.TEXT
    path.write_text("[log]\nlevel = 'debug'\n")
    assert log_settings_of(argparse.Namespace(**named)).level is Level.DEBUG
    # One that reads no settings.
    assert log_settings_of(argparse.Namespace()) == LogSettings(level=Level.WARNING)


async def test_every_source_is_read_at_a_look() -> None:
    metrics = Metrics()
    metrics.add_plain(lambda: [Sample("anchors", 3)])
    async with metrics.listening("127.0.0.1:0") as port:
        metrics.add_plain(lambda: [Sample("destinations", 2)])
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        found = {one.name: one for one in parse(text)}
    assert found["slicer_anchors"].samples[0].value == 3
    assert found["slicer_destinations"].samples[0].value == 2
    assert found["slicer_build_info"].samples[0].labels["version"] == __version__
    assert "slicer_event_loop_lag_seconds" in found


async def test_what_a_server_refuses_is_told_with_its_name() -> None:
    async def nothing() -> list[Sample]:
        return []

    metrics = Metrics()
    server = open_metrics("127.0.0.1:0", nothing, {})
    server.counters["http_refused"] += 2
    metrics.add_server("api", server)
    labels = (("server", "api"), ("reason", "http_refused"))
    assert await metrics.samples() == [Sample("http_refusals_total", 2, labels)]
    await server.close()


async def test_none_where_none_is_wanted() -> None:
    async with Metrics().listening("") as port:
        assert port == 0
    with pytest.raises(BadInput, match=r"--metrics: got 'x'"):
        async with Metrics().listening("x", "--metrics"):
            pass


# The page shows the table between these lines; `python tests/cli/test_observability.py` writes it.
PAGE = Path(__file__).parents[2] / "docs/observability.md"
BLOCK = re.compile(r"(?<=<!-- metrics -->\n).*?(?=<!-- end of metrics -->)", re.DOTALL)


def table() -> str:
    """A row for each metric: its name as Prometheus has it, what it means, and its labels."""
    rows = [(name, *text.partition("; ")[::2]) for name, text in TEXTS.items()]
    lines = (f"| `{PREFIX}{name}` | {text} | {labels} |\n" for name, text, labels in rows)
    return "| metric | what it is | labels |\n|---|---|---|\n" + "".join(lines)


def test_the_page_has_every_metric() -> None:
    assert BLOCK.findall(PAGE.read_text()) == [table()]


async def test_slices_are_traced_where_somebody_takes_them() -> None:
    metrics = Metrics()
    async with metrics.tracing(TracingSettings()) as observe:
        assert observe is None
    async with metrics.tracing(TracingSettings("http://127.0.0.1:1/v1/traces")) as observe:
        assert observe is not None
        assert await metrics.samples() == [Sample("slices_untraced_total", 0)]


def test_names_follow_the_conventions() -> None:
    for name in TEXTS:
        assert name == name.lower()
        assert not name.endswith(("_ms", "_milliseconds", "_kilobytes", "_count", "_sum"))


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda _: table(), PAGE.read_text()))
