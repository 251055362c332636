"""`carillon gateway`, for real: a process of its own that is called over HTTP."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cli import run
from commands.failures import MISTAKE
from tests.databases import migrated_sqlite

CARILLON = str(Path(sys.executable).parent / "carillon")


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migrated database that the command finds."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    monkeypatch.setenv("CARILLON_DATABASE_URL", url)
    asyncio.run(migrated_sqlite(url))


def test_the_gateway_answers_until_it_is_told_to_stop() -> None:
    """It says where it listens, answers there, and ends well on SIGTERM."""
    arguments = [CARILLON, "gateway", "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", child.stdout.readline())
            assert found is not None
            assert httpx.get(f"{found[0]}/health", trust_env=False).status_code == 200
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 0
        finally:
            child.kill()


def test_a_taken_port_is_told_with_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback: which address is taken, and what to give."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(["gateway", "--port", port]) == MISTAKE
    said = " ".join(capsys.readouterr().err.split())
    assert f"127.0.0.1:{port} cannot be listened on (Address already in use): choose another --port" in said
