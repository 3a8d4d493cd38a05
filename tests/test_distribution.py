"""What others install: the samples of systemd, compose and Kubernetes, the image's recipe, the man
page, and the versions that are known to work together. `make wheels` and `make image` build."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from slicer.cli import COMMANDS
from slicer.cli.worker import DRAIN
from slicer.fleet.metrics import METRICS
from slicer.metrics.exposition import PREFIX
from slicer.service.settings import ServiceSettings
from tests.constraints import EXTRAS, FILE, required, text

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"
KUBERNETES = "1.30"
EXPOSURE = 20
"""Tenths: the most that `systemd-analyze security` may find, of 100."""
MEDIA, HEALTH = 8189, 8090


def program(name: str) -> str:
    """Where a program is; the test is skipped where it is not here."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


def resources(sample: str = "slicer") -> Mapping[str, Any]:
    """The objects of a Kubernetes sample by their kind."""
    text = (SAMPLES / "kubernetes" / f"{sample}.yaml").read_text()
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


@pytest.mark.parametrize(
    ("without", "failing", "code", "told"),
    [
        ("buildah", "", 77, "no buildah"),
        ("", "unshare", 77, "this kernel gives no namespaces"),
        ("", "podman", 1, "error: the container does not start"),
    ],
)
def test_an_image_that_was_not_tried_is_no_success(
    tmp_path: Path, without: str, failing: str, code: int, told: str
) -> None:
    """tests/image.sh with programs that do nothing, one of which is not there or fails."""
    for name in ("buildah", "debootstrap", "podman", "unshare"):
        stub = tmp_path / "bin" / name
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(f"#!/bin/sh\nexit {int(name == failing)}\n")
        stub.chmod(0o755)
    (tmp_path / "bin/id").write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "bin/id").chmod(0o755)
    for name in ("sh", "dirname", "cat", "mkdir", "rm", "touch", "tail", "head", "ls", "sed"):
        (tmp_path / "bin" / name).symlink_to(program(name))
    for name in ("awk", "apt-get", "python3"):
        (tmp_path / "bin" / name).symlink_to(program("true"))
    if without:
        (tmp_path / "bin" / without).unlink()
    (tmp_path / "image/base").mkdir(parents=True)
    (tmp_path / "image/base/.complete").touch()
    environment = {"PATH": str(tmp_path / "bin"), "IMAGE_FOLDER": str(tmp_path / "image")}
    script = ["sh", str(ROOT / "tests/image.sh")]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr


def test_installs_side_by_side_do_not_look_at_each_other() -> None:
    """pip's check for conflicts prints a traceback where another pip is writing."""
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"-m pip .*", makefile) == [
        "-m pip --disable-pip-version-check --quiet install --no-warn-conflicts"
    ]
    assert makefile.count("@$(INSTALL) ") >= 5


def test_the_systemd_unit_is_right_and_hardened(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    unit = tmp_path / "slicer.service"
    # Its program is looked for; this machine has another one in its place.
    sample = (SAMPLES / "systemd" / "slicer.service").read_text()
    unit.write_text(sample.replace("/opt/slicer/bin/slicer", sys.executable))
    for command in (
        ["verify", str(unit)],
        ["security", "--offline=true", f"--threshold={EXPOSURE}", str(unit)],
    ):
        done = subprocess.run(
            [analyze, *command], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "slicer.service" not in done.stderr, "nothing is ignored as unknown"
    assert "MemoryDenyWriteExecute=" not in sample, "cffi's callbacks need memory that is both"


@pytest.mark.parametrize("sample", ["slicer", "fleet"])
def test_kubernetes_takes_its_samples(sample: str) -> None:
    for one in resources(sample).values():
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_the_sample_of_a_fleet_agrees_with_itself(tmp_path: Path) -> None:
    found = resources("fleet")
    (tmp_path / "slicer.toml").write_text(found["ConfigMap"]["data"]["slicer.toml"])
    settings = ServiceSettings.load(tmp_path / "slicer.toml", found["Secret"]["stringData"])
    assert len(settings.fleet.servers) == settings.fleet.replicas == 3
    # The Secret of workers, which is over the one of all.
    assert (settings.fleet.user, settings.fleet.password) == ("slicer-worker", "replace me")
    for kind, command in (("Deployment", "serve"), ("StatefulSet", "worker")):
        pod = found[kind]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["args"] == [command, "--config", "/etc/slicer/slicer.toml"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert settings.serve.health.endswith(f":{ports['health']}")
        assert settings.metrics.listen.endswith(f":{ports['metrics']}")
        assert pod["securityContext"]["runAsUser"] == image_user()
    assert pod["terminationGracePeriodSeconds"] > DRAIN + settings.engine.outbox.drain
    (metric,) = found["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["external"]["metric"]["name"] == PREFIX + "fleet_load"
    assert "fleet_load" in METRICS


def test_the_kubernetes_sample_agrees_with_itself(tmp_path: Path) -> None:
    found = resources()
    (tmp_path / "slicer.toml").write_text(found["ConfigMap"]["data"]["slicer.toml"])
    settings = ServiceSettings.load(tmp_path / "slicer.toml", found["Secret"]["stringData"])
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["api"] == settings.serve.port
    assert settings.serve.health.endswith(f":{ports['health']}")
    assert settings.engine.whip.udp.endswith(f":{ports['media']}")
    assert pod["terminationGracePeriodSeconds"] > settings.engine.outbox.drain
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsUser"] == image_user()


def test_the_compose_sample_agrees_with_the_image() -> None:
    service = yaml.safe_load((SAMPLES / "compose.yaml").read_text())["services"]["slicer"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert f"{MEDIA}:{MEDIA}/udp" in service["ports"]
    assert "/etc/slicer/slicer.toml" in service["volumes"][0]
    assert '"/etc/slicer/slicer.toml"' in recipe()
    assert service["volumes"][1].endswith(":/var/lib/slicer")
    assert "VOLUME /var/lib/slicer" in recipe()


def recipe() -> str:
    return (ROOT / "Dockerfile").read_text()


def image_user() -> int:
    found = re.search(r"^USER (\d+):\d+$", recipe(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_the_image_has_what_the_build_needs_and_asks_a_port_that_is_served() -> None:
    assert image_user() > 0
    assert f"SLICER_SERVE_HEALTH=0.0.0.0:{HEALTH}" in recipe()
    assert f"http://127.0.0.1:{HEALTH}/readyz" in recipe()
    taken = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")
    ]
    assert {"slicer", "native", "pyproject.toml", "constraints.txt", "README.md"} <= set(taken)
    assert all(list(ROOT.glob(pattern)) for pattern in taken)


def test_the_man_page_has_every_command() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "--silent", "man", f"BIN={Path(sys.executable).parent}"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (ROOT / "build" / "slicer.1").read_text()
    for name, _, _ in COMMANDS:
        assert f"slicer {name}" in page
    read = subprocess.run(
        [program("man"), "--warnings", "-l", "-"], input=page, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    assert "slice one room until stopped" in " ".join(read.stdout.split())
    assert read.stderr == ""


def test_the_constraints_have_what_an_installation_pulls_in_and_what_is_tested_here() -> None:
    pinned = dict(re.findall(r"^([a-z0-9.-]+)==(.+)$", FILE.read_text(), re.MULTILINE))
    names = {re.split(r"[<>=~;\[ ]", one)[0].lower() for one in required()}
    assert names <= pinned.keys()
    # These have bounds because names of theirs that are private or undocumented are used.
    bounds = {re.split(r"[<>=]", one)[0]: one for one in required()}
    for name in ("aioice", "aiortc", "av", "uvicorn"):
        assert re.search(r"<\d|==\d+\.\d+\.\*", bounds[name]), bounds[name]
        assert version(name).split(".")[:2] == pinned[name].split(".")[:2], "run `make constraints`"


def test_every_extra_of_users_is_constrained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    left = project["optional-dependencies"].keys() - set(EXTRAS.split(","))
    assert left == {"dev", "ocr", "test"}, "ocr has no wheels for every Python"


def test_the_ingress_leads_to_the_service_of_its_sample() -> None:
    ingress = yaml.safe_load((SAMPLES / "kubernetes" / "ingress.yaml").read_text())
    kubernetes_validate.validate(ingress, KUBERNETES, strict=True)
    service = resources()["Service"]
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    assert ports == {"api": 8088, "whip": 8080}
    (rule,) = ingress["spec"]["rules"]
    backends = {one["path"]: one["backend"]["service"] for one in rule["http"]["paths"]}
    assert {path: one["port"]["name"] for path, one in backends.items()} == {
        "/whip/": "whip",
        "/": "api",
    }
    assert {one["name"] for one in backends.values()} == {service["metadata"]["name"]}


def test_the_constraints_of_a_report_of_pip() -> None:
    report = {"install": [{"metadata": {"name": "B_b", "version": "2"}},
                          {"metadata": {"name": "a", "version": "1"}}]}  # fmt: skip
    assert text(report).endswith("\na==1\nb-b==2\n")
