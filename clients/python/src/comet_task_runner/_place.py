"""Where a service is to be found, and by what it is known: the same way as the command line finds it."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .errors import NoService

STATE_DIR_ENV = "COMET_TASK_RUNNER_STATE_DIR"
SERVER_ENV = "COMET_TASK_RUNNER_SERVER"
TOKEN_FILE_ENV = "COMET_TASK_RUNNER_TOKEN_FILE"
CA_FILE_ENV = "COMET_TASK_RUNNER_CA_FILE"

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Place:
    """Where to call, and what to show there."""

    address: str
    """HOST:PORT."""
    token: str
    issuers: bytes | None = None
    """PEM of those who may have issued its certificate. None: it speaks no TLS."""
    name: str | None = None
    """A name that its certificate has, where that is not its address."""


class Target:
    """A service by its address, or by its state directory. What lies in files is read anew at each call."""

    def __init__(
        self,
        server: str | None,
        token: str | None,
        *,
        state_dir: str | os.PathLike[str] | None,
        token_file: str | os.PathLike[str] | None,
        ca_file: str | os.PathLike[str] | None,
    ) -> None:
        # An argument goes before the environment, and a server before a state directory.
        self.server = server or (None if state_dir else os.environ.get(SERVER_ENV))
        self.state_dir = Path(state_dir or os.environ.get(STATE_DIR_ENV) or default_state_dir()).absolute()
        self.token = token
        # The variable speaks of the server that is named beside it.
        self.token_file = Path(
            token_file or (self.server and os.environ.get(TOKEN_FILE_ENV)) or self.state_dir / "token"
        )
        self.issuers: bytes | None = None
        if self.server:
            self.scheme, self.address = _parse(self.server)
            if self.scheme == "https":
                file = ca_file or os.environ.get(CA_FILE_ENV)
                self.issuers = Path(file).read_bytes() if file else _issuers_of_the_system()

    def __str__(self) -> str:
        return self.server or str(self.state_dir)

    def place(self) -> Place:
        """Where it is now."""
        if self.server:
            return Place(self.address, self._token(), self.issuers)
        # What a killed service left may lead to anybody by now, who must not be shown the token.
        endpoint = self.state_dir / "endpoint"
        try:
            lines = endpoint.read_text().splitlines() if _is_claimed(self.state_dir / "lock") else []
        except FileNotFoundError:
            # It has only just begun, or is leaving.
            lines = []
        if not lines:
            raise NoService(
                f"no service runs on {self.state_dir}; start one with `comet-task-runner serve`, or name a server"
            )
        scheme, address = _parse(lines[0])
        if scheme == "http":
            return Place(address, self._token())
        # It is known by its very certificate, which it leaves beside its token, so its name adds nothing: any that the
        # certificate has will do, and the service leaves one for browsers in the second line.
        certificate = ssl.DER_cert_to_PEM_cert((self.state_dir / "certificate").read_bytes()).encode()
        return Place(address, self._token(), certificate, urlsplit(lines[-1]).hostname)

    def _token(self) -> str:
        if self.token is not None:
            return self.token
        try:
            return self.token_file.read_text().strip()
        except FileNotFoundError:
            raise NoService(
                f"there is no token at {self.token_file}; `comet-task-runner serve` makes one at its first start"
            ) from None


def default_state_dir() -> Path:
    """Where a service keeps what it remembers when nobody says otherwise."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "comet-task-runner"


def _parse(server: str) -> tuple[str, str]:
    parts = urlsplit(server)
    if parts.scheme not in PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"the server {server!r} is not of the form http://HOST:PORT or https://HOST:PORT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, f"{host}:{parts.port or PORTS[parts.scheme]}"


def _is_claimed(lock: Path) -> bool:
    """Whether a service runs: a killed one leaves its files, and no lock."""
    try:
        import fcntl
    except ImportError:
        raise NoService("a service is found by its state directory on its own machine only; name a server") from None
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _issuers_of_the_system() -> bytes:
    """gRPC brings a list of its own, in which a company's issuer is not."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return Path(paths.cafile).read_bytes()
    files = sorted(Path(paths.capath).glob("*.[0-9]")) if paths.capath else []
    issuers = b"\n".join(file.read_bytes() for file in files)
    if not issuers:
        raise NoService(f"this system trusts no issuer of certificates; name a file with them in {CA_FILE_ENV}")
    return issuers
