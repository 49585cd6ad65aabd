"""How a service is found, and by what it is known."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Service, missing, stub_url
from fake import Fake

from comet_task_runner import Runner, errors
from comet_task_runner._place import Target

OFFERED = ["server", "token", "state_dir", "token_file", "ca_file"]


def target(**given: str) -> Target:
    return Target(given.pop("server", None), given.pop("token", None), **(dict.fromkeys(OFFERED[2:]) | given))


def test_without_a_word_the_service_of_the_state_directory_is_meant(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMET_TASK_RUNNER_STATE_DIR", str(service.state_dir))
    with Runner() as runner:
        assert runner.runner().ready

    monkeypatch.delenv("COMET_TASK_RUNNER_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert target().state_dir == Path("/xdg/comet-task-runner")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert target().state_dir == Path("/home/somebody/.local/state/comet-task-runner")


def test_the_token_is_not_shown_at_what_a_killed_service_left(service: Service, runner: Runner) -> None:
    service.stop()
    with Fake({}) as stranger:
        (service.state_dir / "endpoint").write_text(stranger.address + "\n")
        with pytest.raises(errors.NoService, match="no service runs on"):
            runner.runner()
        assert stranger.tokens == set()


def test_a_state_directory_without_a_service_says_what_to_do(tmp_path: Path) -> None:
    with Runner(state_dir=tmp_path) as runner, pytest.raises(errors.NoService, match="comet-task-runner serve"):
        runner.status("x")
    with Runner("http://127.0.0.1:1", state_dir=tmp_path) as runner, pytest.raises(errors.NoService, match="no token"):
        runner.status("x")


def test_an_argument_goes_before_the_environment_and_a_server_before_a_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COMET_TASK_RUNNER_SERVER", "http://127.0.0.1:7")
    monkeypatch.setenv("COMET_TASK_RUNNER_STATE_DIR", str(tmp_path))
    (tmp_path / "token").write_text("lies here\n")
    assert target().place().address == "127.0.0.1:7"
    assert target().place().token == "lies here"
    assert target(server="http://[::1]:8/").place().address == "[::1]:8"
    assert target(state_dir=str(tmp_path)).server is None

    (tmp_path / "another").write_text("lies there\n")
    monkeypatch.setenv("COMET_TASK_RUNNER_TOKEN_FILE", str(tmp_path / "another"))
    assert target().place().token == "lies there"
    assert target(token_file=str(tmp_path / "token")).place().token == "lies here"
    assert target(token="given").place().token == "given"
    # That variable speaks of the server that is named beside it.
    assert target(state_dir=str(tmp_path)).token_file == tmp_path / "token"


@pytest.mark.parametrize("server", ["127.0.0.1:50051", "ftp://x:1", "http://", "http://x:1/path", "http://x:port"])
def test_what_is_no_address_is_told_at_once(server: str) -> None:
    with pytest.raises(ValueError, match=r"[Pp]ort|http://HOST:PORT"):
        Runner(server)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An issuer, and a certificate for tasks.test from it."""
    if shutil.which("openssl") is None:
        missing("openssl makes the certificates, and is not installed")
    made = tmp_path_factory.mktemp("tls")
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    of_issuer = "-CA ca.pem -CAkey ca.key -addext basicConstraints=CA:FALSE"
    names = "-addext subjectAltName=DNS:tasks.test,DNS:localhost"
    for command in (
        f"{new} -subj /CN=issuer -keyout ca.key -out ca.pem",
        f"{new} -subj /CN=x {names} {of_issuer} -keyout key.pem -out cert.pem",
    ):
        subprocess.run(command.split(), check=True, capture_output=True, cwd=made)
    return made


@pytest.fixture
def tls_service(stub_browser: str, certificates: Path) -> Iterator[Service]:
    files = ["--tls-cert", str(certificates / "cert.pem"), "--tls-key", str(certificates / "key.pem")]
    service = Service(stub_browser, *files, "--host", "tasks.test", "--host", "localhost")
    try:
        service.start()
        yield service
    finally:
        service.remove()


def test_a_service_with_tls_is_known_by_the_certificate_it_leaves_or_by_its_issuer(
    tls_service: Service, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tls_service.address.startswith("https://")
    with Runner(state_dir=tls_service.state_dir) as runner:
        assert runner.run(stub_url("/exit/0")).result().status == "DONE"

    # By its issuer, but not by a name that it does not have.
    by_name = tls_service.address.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("COMET_TASK_RUNNER_CA_FILE", str(certificates / "ca.pem"))
    with Runner(by_name, tls_service.token) as runner:
        assert runner.runner().ready
    monkeypatch.delenv("COMET_TASK_RUNNER_CA_FILE")
    with (
        Runner(tls_service.address, tls_service.token, ca_file=certificates / "ca.pem") as runner,
        pytest.raises(errors.Unavailable, match=r"[Hh]ostname|verif"),
    ):
        runner.runner()
    # Nor by one that the system trusts.
    with Runner(tls_service.address, tls_service.token) as runner, pytest.raises(errors.Unavailable):
        runner.runner()
