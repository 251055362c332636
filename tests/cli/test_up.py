"""`carillon up`, for real: a process of its own, driven as a user drives it."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import cli
from models.merchant import booking_rules
from models.rehearsal import rehearse
from stack.examples import EXAMPLES, Example, read_examples
from stack.folder import Folder, InUseError
from stack.running import Plan, running_stack
from stack.server import TakenError
from tests.processes import free_port

CARILLON = str(Path(sys.executable).parent / "carillon")
READY = "Ctrl-C stops all of it."
PATIENCE = 60
FIRST = "booking:lumi:b-1001"


class Up:
    """A running `carillon up`, and the commands given beside it."""

    def __init__(self, child: subprocess.Popen[str], folder: Path) -> None:
        self.child = child
        self.folder = folder
        self.said = ""

    def wait_until_ready(self) -> None:
        """Read until the last line of the greeting; a stack that ends before fails the test."""
        assert self.child.stdout is not None
        alarm = threading.Timer(PATIENCE, self.child.kill)
        alarm.start()
        for line in self.child.stdout:
            self.said += line
            if READY in line:
                break
        alarm.cancel()
        assert READY in self.said, self.said

    def carillon(self, *arguments: str) -> str:
        """What a command says; it must succeed. Run in this process, where everything is imported already."""
        said, wrong = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(wrong):
            status = cli.run([*arguments, "--data-dir", str(self.folder)])
        assert status == 0, wrong.getvalue()
        return said.getvalue()

    def json(self, *arguments: str) -> Any:
        return json.loads(self.carillon(*arguments, "--json"))

    def end(self, how: signal.Signals) -> tuple[int, str]:
        """Send a signal; the exit status, and what was said last."""
        self.child.send_signal(how)
        said, _ = self.child.communicate(timeout=PATIENCE)
        return self.child.returncode, said

    @property
    def server(self) -> int:
        """The process of the Temporal server."""
        (child,) = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()
        return int(child)


@contextmanager
def up(folder: Path) -> Iterator[Up]:
    """The stack in a folder, on ports of its own, ready to be talked to."""
    ports = ["--port", str(free_port()), "--smtp-port", str(free_port())]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL", "CARILLON"))
    }
    environment["CARILLON_DATA_DIR"] = str(folder)
    child = subprocess.Popen(
        [CARILLON, "up", "--headless", *ports],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started = Up(child, folder)
    try:
        started.wait_until_ready()
        yield started
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            child.wait(PATIENCE)


def alive(process: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def mails(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / "mail").glob("*.eml"))


@pytest.mark.timeout(180)
def test_up_plays_the_examples_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """First run: everything works. Ctrl-C: nothing is left. Second run: nothing lost, nothing sent twice."""
    folder = tmp_path / "var"
    before = datetime.now(UTC)
    with up(folder) as first:
        server = first.server
        lifecycles = _check_the_examples(first, before)
        assert "payment_reminder" in {owed["kind"] for owed in first.json("agenda", FIRST)["owed"]}
        # Past the hour of the reminder and before the deadline, at whatever hour this runs.
        assert "payment reminder" in first.carillon("fast-forward", FIRST, "1d1h")
        assert "told payment_received" in first.carillon("booking", "tell", FIRST, "payment_received")
        assert _received(first.json("agenda", FIRST)) > before + timedelta(days=1)
        sent = _sent(first)
        assert sent[FIRST, "payment_reminder", "email"] == 1
        assert any("-payment_reminder-mei@example.com.eml" in name for name in mails(folder))
        assert "ERROR" not in (folder / "carillon.log").read_text()
        assert "All is well." in first.carillon("doctor")
        alone = [CARILLON, "agenda", FIRST, "--json", "--data-dir", str(folder)]
        assert json.loads(subprocess.check_output(alone, timeout=PATIENCE))["lifecycle"] == FIRST
        status, said = first.end(signal.SIGINT)
    assert (status, "Stopped." in said) == (0, True)
    assert not alive(server)
    assert not (folder / "carillon.json").exists()
    kept = mails(folder)

    with up(folder) as second:
        assert all(lifecycle in second.said for lifecycle in lifecycles)
        assert _sent(second) == sent
        assert mails(folder) == kept
        agenda = second.json("agenda", FIRST)
        assert "payment_reminder" in {done["kind"] for done in agenda["done"]}
        os.kill(second.server, signal.SIGKILL)
        said, _ = second.child.communicate(timeout=PATIENCE)
    assert second.child.returncode == 2
    assert "the Temporal server died with status -9: see" in said
    assert "Traceback" not in said


def _received(agenda: Any) -> datetime:
    """When the payment was received: by the lifecycle's own clock, which was moved."""
    (due,) = (done["due"] for done in agenda["done"] if done["kind"] == "payment_received")
    return datetime.fromisoformat(due)


def _check_the_examples(stack: Up, before: datetime) -> list[str]:
    """Each example owes what its preview says; answers their ids."""
    lifecycles = []
    for early, late in zip(
        read_examples(EXAMPLES, before), read_examples(EXAMPLES, datetime.now(UTC)), strict=True
    ):
        lifecycle = f"booking:{early.booking.merchant_id}:{early.booking.booking_id}"
        assert lifecycle in stack.said
        agenda = stack.json("agenda", lifecycle)
        assert _entries(agenda) in (_previewed(early), _previewed(late))
        lifecycles.append(lifecycle)
    return lifecycles


def _entries(agenda: Any) -> set[tuple[str, ...]]:
    return {(part, entry["key"]) for part in ("owed", "done") for entry in agenda[part]} | {
        ("left_out", entry["key"], entry["reason"]) for entry in agenda["left_out"]
    }


def _previewed(example: Example) -> set[tuple[str, ...]]:
    rules = booking_rules(example.merchant, example.booking.branch_id)
    agenda = rehearse(example.booking, rules, example.facts, datetime.now(UTC))
    found = {("owed", notice.key) for notice in agenda.owed} | {
        ("done", done.notice.key) for done in agenda.done
    }
    return found | {("left_out", left.key, left.reason.value) for left in agenda.left_out}


def _sent(stack: Up) -> Counter[tuple[str, str, str]]:
    """How often each notice of a booking went to each recipient; every one of them once.

    What the coupon has told by now is a matter of the hour, and of who has a telephone.
    """
    messages = [one for one in stack.json("messages") if one["lifecycle"].startswith("booking:")]
    keys = Counter((message["notice_key"], message["channel"]) for message in messages)
    assert set(keys.values()) == {1}
    assert {message["status"] for message in messages} == {"sent"}
    return Counter((message["lifecycle"], message["kind"], message["channel"]) for message in messages)


@pytest.mark.parametrize("option", ["--port", "--ui-port", "--smtp-port"])
async def test_a_taken_port_names_its_option(tmp_path: Path, option: str) -> None:
    ports = {"--port": free_port(), "--ui-port": free_port(), "--smtp-port": free_port()}
    plan = Plan(Folder(tmp_path), ports["--port"], ports["--ui-port"], ports["--smtp-port"])
    words = f"^port {ports[option]} is taken: use {option} N$"
    with socket.create_server(("127.0.0.1", ports[option])), pytest.raises(TakenError, match=words):
        await running_stack(plan, print).__aenter__()


def test_a_taken_port_ends_with_1(tmp_path: Path) -> None:
    """Before anything is started or written but the folder."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [
            CARILLON,
            "up",
            "--data-dir",
            str(tmp_path),
            "--port",
            str(port),
            "--smtp-port",
            str(free_port()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"port {port} is taken: use --port N\n"
    assert not (tmp_path / "carillon.db").exists()


def test_a_folder_that_cannot_be_written_to_ends_with_1(tmp_path: Path) -> None:
    taken = tmp_path / "var"
    taken.write_text("a file stands there")
    command = [CARILLON, "up", "--data-dir", str(taken)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"--data-dir: {taken} cannot be used (")


def test_a_folder_has_one_stack_at_a_time(tmp_path: Path) -> None:
    """A server that outlived its stack holds the lock too: its database is not opened twice."""
    folder = Folder(tmp_path)
    with folder.alone() as lock:
        child = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    try:
        with pytest.raises(InUseError, match="already"), folder.alone():
            pass
    finally:
        child.kill()
        child.wait()
    with folder.alone():
        pass
