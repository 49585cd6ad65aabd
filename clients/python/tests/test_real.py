"""Before the real service with a real browser: what a stub cannot do, the example, and what the README says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import SOON_S, Service, missing

from comet_task_runner import Runner

HERE = Path(__file__).resolve().parents[1]
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]

PAGES = {
    "/": "<title>done</title><script>cometTask.done({pages: 3})</script>",
    "/stay": "<title>stay</title><p id=text style='position: absolute; width: 40px; height: 30px'>here</p>",
}


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = PAGES.get(self.path, "kept " * 40_000).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        if self.path in PAGES:
            self.send_header("content-type", "text/html")
        else:
            self.send_header("content-disposition", "attachment; filename=kept.bin")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    """Where the pages are."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.fixture
def real() -> Iterator[Service]:
    if not any(map(shutil.which, BROWSERS)):
        missing("there is no Chromium")
    service = Service(*(["--no-sandbox"] if os.geteuid() == 0 else []))
    try:
        service.start()
        yield service
    finally:
        service.remove()


def test_a_page_is_pictured_and_what_it_downloads_is_read(real: Service, site: str) -> None:
    with Runner(state_dir=real.state_dir) as runner:
        run = runner.run(f"{site}/stay")
        for change in run:
            if change.job.page and change.job.page.load_state == "COMMITTED":
                break
        picture = runner.screenshot(run.task_id, selector="#text")
        assert picture.image.startswith(b"\x89PNG")
        assert (picture.width, picture.height, picture.source) == (40, 30, "PAGE")
        run.cancel()
        assert run.result().status == "CANCELLED"

        job = runner.run(f"{site}/kept.bin").result(check=True)
        assert (job.reason, job.files[0].name, job.files[0].size_bytes) == ("DOWNLOADED", "kept.bin", 200_000)
        assert b"".join(runner.read_file(job.task_id, "kept.bin")) == b"kept " * 40_000
        assert b"".join(runner.read_file(job.task_id, "kept.bin", offset=199_995)) == b"kept "


def test_the_example_runs(real: Service, site: str) -> None:
    said = python(real, str(HERE / "examples/run.py"), f"{site}/")
    assert re.search(r"^\d\d:\d\d:\d\d  DONE +CALLBACK ", said, re.MULTILINE)


def test_what_the_readme_says_runs(real: Service, site: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (HERE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    first, of_asyncio, refused = (
        python(real, "-c", block.replace("https://example.org/", f"{site}/")) for block in blocks
    )
    assert 'the page said {"pages":3}' in first
    assert of_asyncio.count("DONE CALLBACK") == 2
    assert "Violation(field='url'" in refused


def python(service: Service, *args: str) -> str:
    """What a program says that finds the service by the environment."""
    env = {**os.environ, "COMET_TASK_RUNNER_STATE_DIR": str(service.state_dir), "PYTHONPATH": str(HERE / "src")}
    done = subprocess.run(
        [sys.executable, "-W", "error", *args], env=env, capture_output=True, text=True, timeout=SOON_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
