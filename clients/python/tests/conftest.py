"""The built service as a process of its own, as its users run it, with a browser that does as its URL says."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from comet_task_runner import Runner

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ.get("COMET_TASK_RUNNER_BIN") or ROOT / "target/debug/comet-task-runner")

# Longest wait for what happens at once: many times what a busy machine needs.
SOON_S = 30.0


@pytest.fixture(scope="session")
def stub_browser(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The argument for a small program that behaves as the URL in its last argument says."""
    program = tmp_path_factory.mktemp("stub") / "stub_browser"
    subprocess.run(["cc", "-O2", "-static", "-o", program, ROOT / "tests/support/stub_browser.c"], check=True)
    return f"--browser=stub={program},exit-only"


class Service:
    """A service on a state of its own. Stopped, it and all that it started are gone."""

    def __init__(self, *args: str) -> None:
        # Short, as the paths of sockets below it must be.
        self.home = Path(tempfile.mkdtemp(prefix="ctp", dir="/tmp"))
        self.state_dir = self.home / "s"
        self.args: list[str | Path] = [PROGRAM, "serve", "--state-dir", self.state_dir, *args]
        (self.home / "r").mkdir()
        self.process: subprocess.Popen[str] | None = None
        self.address = ""

    def start(self, listen: str = "127.0.0.1:0") -> None:
        """On any port, unless one is named."""
        env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
        env["COMET_TASK_RUNNER_RUN_DIR"] = str(self.home / "r")
        log = (self.home / "log").open("a")
        self.process = subprocess.Popen(
            [*self.args, "--listen", listen], env=env, stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], SOON_S)
        line = self.process.stdout.readline() if ready else ""
        assert line.startswith("listening on "), f"the service does not start: {(self.home / 'log').read_text()}"
        self.address = line.removeprefix("listening on ").strip()

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Not asked to leave unless that is said."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(SOON_S)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def remove(self) -> None:
        """Ends it and all that it started."""
        self.stop()
        for file in self.home.glob("r/*/*/id"):
            if pid := re.search(r'"pid":\s*(\d+)', file.read_text()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid[1]), signal.SIGKILL)
        # What a killed browser's parent writes to its last moment, nobody tells.
        until = time.monotonic() + SOON_S
        while self.home.exists() and time.monotonic() < until:
            shutil.rmtree(self.home, ignore_errors=True)

    @property
    def token(self) -> str:
        return (self.state_dir / "token").read_text().strip()


@pytest.fixture
def service(stub_browser: str) -> Iterator[Service]:
    service = Service(stub_browser, "--slots", "24", "--launches-max", "8")
    try:
        service.start()
        yield service
    finally:
        service.remove()


@pytest.fixture
def runner(service: Service) -> Iterator[Runner]:
    with Runner(state_dir=service.state_dir) as runner:
        yield runner


@pytest.fixture(autouse=True)
def no_service_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests call the services that they started, and no other."""
    for name in [name for name in os.environ if name.startswith("COMET_TASK_RUNNER_")]:
        if name != "COMET_TASK_RUNNER_BIN":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", "/nonexistent")


def stub_url(path: str) -> str:
    return f"http://stub.test{path}"


def missing(what: str) -> NoReturn:
    """Says what was not tried, and fails where everything is to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
