"""Our metrics, alerts and dashboard as Prometheus' own tool reads them.

Without `promtool` (tests/install-system.sh) only the names are checked.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from slicer import AudioSpec, Engine, SliceParams, TaskSpec
from slicer.api import ApiCounters
from slicer.cli.observability import TEXTS, Metrics
from slicer.metrics.exposition import exposition
from tests.harness.rooms.replay import talk

ROOT = Path(__file__).parents[2]
ALERTS, DASHBOARD = ROOT / "samples/alerts.yml", ROOT / "samples/grafana.json"
PROMTOOL = shutil.which("promtool") or str(ROOT / "build/promtool/usr/bin/promtool")
NAME = re.compile(r"\b(?:slicer|process)_[a-z_]+\b")

needs_promtool = pytest.mark.skipif(
    shutil.which(PROMTOOL) is None, reason="promtool is not installed (tests/install-system.sh)"
)


async def scraped(tmp_path: Path) -> str:
    """What a process says that has replayed a capture and answered requests."""
    metrics, counters = Metrics(), ApiCounters()
    counters.add("CreateCloudSliceTask", "AuthFailure.SignatureFailure", 0.01)
    spec = TaskSpec(
        talk(tmp_path / "ada.rtpdump", 5.0),
        (tmp_path / "out").as_uri(),
        SliceParams(AudioSpec(2), None),
    )
    async with metrics.listening("127.0.0.1:0"), Engine() as engine:
        metrics.add_plain(engine.metrics)
        metrics.add_plain(counters.samples)
        await engine.finished(await engine.create(spec))
        content, _ = exposition(await metrics.samples(), TEXTS)
    return content.decode()


def promtool(*arguments: str, given: str = "") -> str:
    """What it says; it must end well."""
    done = subprocess.run(
        [PROMTOOL, *arguments], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


async def test_every_metric_that_the_samples_name_exists(tmp_path: Path) -> None:
    families = parse(await scraped(tmp_path))
    process = {sample.name for one in families for sample in one.samples}
    ours = {f"slicer_{name}" for name in TEXTS}
    known = ours | {f"{name}_bucket" for name in ours} | process
    expressions = [
        target["expr"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
    ]
    assert expressions
    named = {name for text in (*expressions, ALERTS.read_text()) for name in NAME.findall(text)}
    assert named - known == set()


def test_every_alert_says_what_to_do() -> None:
    rule = re.compile(r"- alert: (\w+)\n(.*?)(?=\n      - alert|\Z)", re.DOTALL)
    rules = rule.findall(ALERTS.read_text())
    assert len(rules) > 10
    assert [name for name, text in rules if not re.search(r"action: .{20}", text)] == []
    assert [name for name, text in rules if "severity:" not in text] == []


@needs_promtool
async def test_the_format_is_prometheus_own(tmp_path: Path) -> None:
    assert promtool("check", "metrics", given=await scraped(tmp_path)) == ""


@needs_promtool
def test_the_alerts_fire_when_they_should(tmp_path: Path) -> None:
    text = (ROOT / "tests/metrics/alerts.test.yml").read_text()
    (tmp_path / "alerts.test.yml").write_text(text.replace("RULES", str(ALERTS)))
    assert "SUCCESS" in promtool("check", "rules", str(ALERTS))
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "alerts.test.yml"))


@needs_promtool
def test_the_dashboards_expressions_can_be_read(tmp_path: Path) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions)
    ]
    (tmp_path / "panels.yml").write_text(
        json.dumps({"groups": [{"name": "panels", "rules": rules}]})
    )
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(tmp_path / "panels.yml"))
