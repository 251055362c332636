"""The files of production, checked without a container engine: compose, image, settings, wheel."""

import asyncio
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import pytest
import yaml
from temporalio.client import Client
from temporalio.common import VersioningBehavior
from temporalio.worker import Worker, WorkerDeploymentConfig, WorkerDeploymentVersion

from temporal_server import DYNAMIC_CONFIG, server_program
from workflows.booking import BookingWorkflow
from workflows.lifecycle import SEARCH_ATTRIBUTES

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: Mapping[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
ENV_EXAMPLE = (ROOT / "deploy/env.example").read_text()
PRODUCTION = yaml.safe_load((ROOT / "deploy/dynamicconfig.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTALLED: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
    "targets"
]["wheel"]["only-include"]

SECRET = re.compile(r"PASSWORD|PWD|TOKEN|SECRET|KEY")
NO_PART_OF_THE_PROGRAM = {"tests", "bench", "examples"}


def test_the_compose_file_follows_the_compose_specification() -> None:
    """docker-compose.yml is valid against the schema of the Compose Specification."""
    vendored = files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(vendored.read_text())
    jsonschema.validate(yaml.safe_load(COMPOSE), schema)


def test_every_image_is_pinned() -> None:
    """Each image names its version; `latest` and the deprecated auto-setup are not used."""
    ours = "carillon:${CARILLON_BUILD_ID:-unversioned}"
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert {images.pop("worker"), images.pop("gateway")} == {ours}
    foreign = [*images.values(), *re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)]
    assert [image for image in foreign if not re.fullmatch(r"[\w/.-]+:v?\d+\.\d+[\w.-]*", image)] == []
    assert "latest" not in COMPOSE
    assert "auto-setup" not in COMPOSE


def test_temporal_and_its_tools_are_of_one_version() -> None:
    """The server and the tools that make its schema, namespace and attributes have the same version."""
    versions = {
        service["image"].split(":")[1] for service in SERVICES.values() if "temporalio/" in service["image"]
    }
    tools = {s["image"].split(":")[1] for s in SERVICES.values() if "temporalio/admin-tools" in s["image"]}
    assert tools == {SERVICES["temporal"]["image"].split(":")[1]}
    assert len(versions) == 2, "the Web UI counts by itself"


def test_every_dependency_is_a_service_that_can_meet_its_condition() -> None:
    """Each depends_on names a service: healthy where it has a health check, completed where it is a job."""
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES, f"{name} waits for {needed}"
            job = how["condition"] == "service_completed_successfully"
            assert job == SERVICES[needed]["restart"].startswith("on-failure"), f"{name} waits for {needed}"
            assert job or "healthcheck" in SERVICES[needed], f"{name} waits for {needed}"


def test_what_runs_for_ever_is_started_again_and_says_how_it_is() -> None:
    """Every service but the jobs has a health check and comes back after a crash or a restart."""
    lasting = {name: s for name, s in SERVICES.items() if not s["restart"].startswith("on-failure")}
    assert set(lasting) == {"postgres", "temporal", "temporal-ui", "worker", "gateway", "mailpit"}
    for name, service in lasting.items():
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service, name


def test_workers_can_be_many() -> None:
    """A worker has no name and no port of its own, and longer to stop than it takes to end its sending."""
    worker = SERVICES["worker"]
    assert not {"container_name", "hostname", "ports"} & set(worker)
    assert worker["stop_grace_period"] == "60s"


def test_nothing_is_published_beyond_this_machine_by_default() -> None:
    """Every published port is bound to 127.0.0.1, unless the operator says another address."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert [p for p in ports if not p.startswith(("127.0.0.1:", "${BIND_ADDRESS:-127.0.0.1}:"))] == []
    assert "ports" not in SERVICES["postgres"]


def test_mail_is_caught_only_when_asked_for() -> None:
    """Mailpit runs in its profile alone, and no mail server is assumed: no customer's mail ends in it."""
    assert SERVICES["mailpit"]["profiles"] == ["mail"]
    assert SERVICES["worker"]["environment"]["CARILLON_SMTP_HOST"].startswith("${CARILLON_SMTP_HOST:?")


def variables() -> set[str]:
    """The variables that the compose file takes from .env."""
    return set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE))


def explained() -> dict[str, str]:
    """The variables of env.example, set or commented out, with their values."""
    return dict(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$", ENV_EXAMPLE, re.M))


def test_every_variable_is_explained() -> None:
    """All that the compose file takes from .env is in deploy/env.example; what it must have, uncommented."""
    assert variables() - set(explained()) == set()
    needed = set(re.findall(r"(?<!\$)\$\{(\w+):\?", COMPOSE))
    assert needed == set(re.findall(r"^([A-Z_]+)=$", ENV_EXAMPLE, re.M))


def test_every_setting_is_in_the_operators_table() -> None:
    """docs/operating.md names each variable that the settings, the worker and the channels read."""
    sources = [ROOT / "settings.py", ROOT / "worker.py", *(ROOT / "channels").glob("*.py")]
    text = "".join(path.read_text() for path in sources)
    own = set(re.findall(r'"(CARILLON_[A-Z_]+)"', text))
    names = re.findall(r"`((?:SMTP|TWSMS|SMARTDOVE|SMPP|TWILIO|FCM|STAFF)_[A-Z_]+)`", text)
    of_providers = {f"CARILLON_{name}" for name in names}
    told = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs/operating.md").read_text()))
    assert (own | of_providers) - told == set()


def test_every_dollar_is_compose_s_or_escaped() -> None:
    """A `$` that is meant for a shell inside a container is written twice."""
    assert re.findall(r"(?<!\$)\$(?![{$]).*", COMPOSE) == []


def test_the_example_tells_the_true_defaults() -> None:
    """A default that env.example shows is the one of the compose file."""
    defaults = dict(re.findall(r"(?<!\$)\$\{(\w+):-([^}]+)\}", COMPOSE))
    shown = explained()
    told_otherwise = {"CARILLON_BUILD_ID", "CARILLON_DATABASE_URL"}
    assert {n: v for n, v in defaults.items() if n not in told_otherwise and shown[n] != v} == {}


def test_nothing_secret_is_written_down() -> None:
    """A secret has no value in any of the files: it is taken from .env, which no image receives."""
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if SECRET.search(key):
                assert re.fullmatch(r"\$\{\w+:\?[^}]*\}", value), f"{name}: {key}"
    assert {key: value for key, value in explained().items() if SECRET.search(key) and value} == {}
    assert not re.search(r"://[^\s/@:]+:[^\s@]+@", COMPOSE + ENV_EXAMPLE), "a password inside an address"
    assert ignored_by_docker(".env")
    assert "ARG" not in DOCKERFILE


def job(name: str) -> str:
    """The shell script of a job, as the container sees it."""
    shell, options, script = SERVICES[name]["command"]
    assert (shell, options) == ("sh", "-euc")
    return str(script).replace("$$", "$")


def test_the_search_attributes_are_those_that_the_lifecycles_write() -> None:
    """The job makes exactly workflows.lifecycle.SEARCH_ATTRIBUTES, each with its type."""
    made = dict(re.findall(r"--name (\w+) --type (\w+)", job("temporal-search-attributes")))
    wanted = {
        key.name: key.indexed_value_type.name.replace("_", " ").title().replace(" ", "")
        for key in SEARCH_ATTRIBUTES
    }
    assert made == wanted


async def run(*command: str, **environment: str) -> int:
    """The exit code of a command that finds `temporal` and the test's server."""
    path = f"{Path(server_program()).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, "PATH": path, **environment}, stdout=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


async def test_the_jobs_can_be_repeated(temporal: Client) -> None:
    """On a real server: the namespace and its search attributes are made, and made again without harm."""
    environment = {
        "TEMPORAL_ADDRESS": temporal.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": f"compose-{uuid4().hex[:8]}",
        "RETENTION": "90d",
    }
    for name in ("temporal-namespace", "temporal-search-attributes") * 2:
        assert await run("sh", "-euc", job(name), **environment) == 0, name


@pytest.mark.parametrize("build_id", ["", "b1"])
async def test_a_worker_is_healthy_while_temporal_sees_it_ask_for_work(
    temporal: Client, build_id: str
) -> None:
    """The health check passes only while a worker of this machine polls, with and without versions."""
    command = [sys.executable, *SERVICES["worker"]["healthcheck"]["test"][2:]]
    queue = f"health-{uuid4().hex[:8]}"
    environment = {
        "TEMPORAL_ADDRESS": temporal.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": temporal.namespace,
        "CARILLON_TASK_QUEUE": queue,
        "PYTHONPATH": str(ROOT),
    }
    assert await run(*command, **environment) == 1
    version = WorkerDeploymentVersion(deployment_name=queue, build_id=build_id)
    versions = WorkerDeploymentConfig(
        version=version,
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )
    async with Worker(
        temporal,
        task_queue=queue,
        workflows=[BookingWorkflow],
        deployment_config=versions if build_id else None,
    ):
        for _ in range(10):
            if await run(*command, **environment) == 0:
                return
            await asyncio.sleep(0.5)
    pytest.fail("the worker polled, and was not seen")


def test_time_cannot_be_moved_in_production() -> None:
    """The time machine, which would send real messages early, is off; fairness is on, as in development."""
    settings = {key: entry["value"] for key, [entry] in PRODUCTION.items()}
    assert settings["frontend.WorkflowTimeSkippingEnabled"] is False
    assert {key: str(value).lower() for key, value in settings.items() if key.startswith("matching.")} == {
        key: value for key, value in DYNAMIC_CONFIG.items() if key.startswith("matching.")
    }
    [mount] = SERVICES["temporal"]["volumes"]
    source, target, mode = mount.split(":")
    assert (ROOT / source).is_file()
    assert (target, mode) == (SERVICES["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"], "ro")


def ignored_by_docker(path: str) -> bool:
    """Whether .dockerignore keeps a path of the top level out."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return any(fnmatch(path, pattern.removeprefix("**/")) for pattern in patterns)


def test_the_image_receives_all_that_is_installed() -> None:
    """The Dockerfile copies the project, and .dockerignore leaves out nothing that the wheel is made of."""
    assert "\nCOPY . .\n" in DOCKERFILE
    needed = [*INSTALLED, "pyproject.toml", "requirements.lock", "README.md", "LICENSE"]
    assert [name for name in needed if ignored_by_docker(name)] == []


def test_the_image_is_made_of_locked_wheels_and_runs_as_nobody() -> None:
    """Dependencies are installed by hash, the program without any more, and it does not run as root."""
    assert "pip install --require-hashes --only-binary :all: -r requirements.lock" in DOCKERFILE
    assert "pip install --no-deps --no-build-isolation ." in DOCKERFILE
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*$", last, re.M)
    assert "pip" not in last


def test_everything_that_runs_is_listed_for_the_wheel() -> None:
    """Each module and package at the top of the project is installed, but for tests and the like."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - NO_PART_OF_THE_PROGRAM
    modules = {path.name for path in ROOT.glob("*.py")}
    assert (packages | modules | {"templates"}) - set(INSTALLED) == set()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, built and unpacked as pip would: a folder without the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(ROOT)),
        ],
        check=True,
        timeout=60,
    )
    [wheel] = folder.glob("carillon-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_templates_and_migrations(installed: Path) -> None:
    """Files that are not Python - templates, the migrations' template - are installed with the rest."""

    def content(root: Path, *folders: str) -> set[str]:
        found = (path for folder in folders for path in (root / folder).rglob("*") if path.is_file())
        return {str(path.relative_to(root)) for path in found if "__pycache__" not in path.parts}

    assert "migrations/script.py.mako" in content(installed, "migrations")
    assert content(installed, "templates", "migrations") == content(ROOT, "templates", "migrations")


def test_what_is_installed_runs_from_anywhere(installed: Path) -> None:
    """Without the source tree the entry points import, a database is migrated, the templates are found."""
    program = (
        "import asyncio, sys, cli, worker\n"
        "from activities.database import migrate, revision\n"
        "from activities.rendering import TEMPLATES\n"
        "assert asyncio.run(migrate(sys.argv[1]))\n"
        "now, newest = asyncio.run(revision(sys.argv[1]))\n"
        "assert now == newest is not None\n"
        "assert list(TEMPLATES.rglob('*.j2'))\n"
        "print(worker.__file__)\n"
    )
    # -S: no .pth file, by which an editable install would lend what the wheel lacks.
    libraries = sysconfig.get_paths()["purelib"]
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, f"sqlite:///{installed / 'test.db'}"],
        env={"PYTHONPATH": f"{installed}{os.pathsep}{libraries}", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(installed / "worker.py")
