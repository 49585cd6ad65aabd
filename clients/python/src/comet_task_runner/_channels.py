"""The connections to one service, whichever way they are waited on."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import grpc

from ._place import Place

C = TypeVar("C")

# How often a silent connection is asked whether it is alive, and how long it may take: a cut cable is noticed within
# half a minute, before a person wonders.
KEEPALIVE_MS = 20_000
KEEPALIVE_WITHIN_MS = 10_000
# How soon a connection that was refused is tried again at first, and at most: what waits longer is ours to decide.
RECONNECT_FIRST_MS = 100
RECONNECT_LONGEST_MS = 1_000
# Largest answer: a picture of 4 MiB, and what comes with it.
ANSWER_BYTES_MAX = 8 << 20
# Streams on one connection: a service allows 256 by default, and other calls want their place. One more opens another
# connection.
STREAMS_MAX = 200

OPTIONS = (
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_WITHIN_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", RECONNECT_FIRST_MS),
    ("grpc.max_reconnect_backoff_ms", RECONNECT_LONGEST_MS),
    ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
    # Nobody but the service is to be shown the token.
    ("grpc.enable_http_proxy", 0),
    # A second connection is to be one of its own.
    ("grpc.use_local_subchannel_pool", 1),
)


class Shared(Generic[C]):
    """A connection, and how many streams it carries."""

    def __init__(self, channel: C) -> None:
        self.channel = channel
        self.streams = 0


class Channels(Generic[C]):
    """The connections to where the service was last found."""

    def __init__(self, connect: Any, connect_securely: Any) -> None:
        self._connect = connect
        self._connect_securely = connect_securely
        self._at: tuple[str, bytes | None, str | None] | None = None
        self._all: list[Shared[C]] = []
        self.closed = False

    def at(self, place: Place) -> tuple[Shared[C], list[C]]:
        """One with room for another stream, and those that lead to where the service was before."""
        if self.closed:
            raise closed()
        outdated: list[C] = []
        at = (place.address, place.issuers, place.name)
        if self._at != at:
            outdated = [shared.channel for shared in self._all]
            self._at, self._all = at, []
        for shared in self._all:
            if shared.streams < STREAMS_MAX:
                return shared, outdated
        self._all.append(Shared(self._open(place)))
        return self._all[-1], outdated

    def close(self) -> list[C]:
        """Those that are to be closed; there will be no more."""
        self.closed = True
        closing, self._all = self._all, []
        return [shared.channel for shared in closing]

    def _open(self, place: Place) -> Any:
        if place.issuers is None:
            return self._connect(place.address, options=OPTIONS)
        options = OPTIONS + ((("grpc.ssl_target_name_override", place.name),) if place.name else ())
        return self._connect_securely(place.address, grpc.ssl_channel_credentials(place.issuers), options=options)


def closed() -> RuntimeError:
    """What a caller is told who goes on with a closed runner."""
    return RuntimeError("this runner is closed")


def authorization(place: Place) -> tuple[tuple[str, str], ...]:
    """What shows the token."""
    return (("authorization", f"Bearer {place.token}"),) if place.token else ()
