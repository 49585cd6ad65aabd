"""Calls and streams that block the thread that waits for them."""

from __future__ import annotations

import threading
import time
from typing import Any

import grpc

from . import _contract
from ._channels import Channels, Shared, authorization, closed
from ._place import Target
from .errors import Cancelled, Unavailable, from_rpc

sleep = time.sleep


class Connection:
    """The way to one service, for any number of threads."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.answered = False
        self.watchdog = Watchdog()
        self._lock = threading.Lock()
        self._channels: Channels[grpc.Channel] = Channels(grpc.insecure_channel, grpc.secure_channel)

    def call(self, rpc: str, request: Any, within_s: float | None) -> Any:
        """The answer to a call."""
        shared, metadata = self._shared(0)
        method: Any = shared.channel.unary_unary(
            _contract.path(rpc), _contract.serialized, _contract.response_class(rpc).FromString
        )
        try:
            answer = method(request, timeout=within_s, metadata=metadata)
        except grpc.RpcError as error:
            raise self.problem(error) from None
        except ValueError:
            raise self.gone() from None
        self.answered = True
        return answer

    def open(self, rpc: str, request: Any, silence_max_s: float) -> Stream:
        """The messages of a stream."""
        shared, metadata = self._shared(1)
        method: Any = shared.channel.unary_stream(
            _contract.path(rpc), _contract.serialized, _contract.response_class(rpc).FromString
        )
        try:
            call = method(request, metadata=metadata)
        except ValueError:
            self.leave(shared)
            raise self.gone() from None
        return Stream(self, shared, call, silence_max_s)

    def problem(self, error: grpc.RpcError) -> Exception:
        """What an error of gRPC means here."""
        if self._channels.closed:
            return closed()
        problem = from_rpc(error)
        self.answered |= bool(problem.reason)
        return problem

    def gone(self) -> Exception:
        """The connection was closed meanwhile: by whoever closed the runner, or found the service elsewhere.

        gRPC says so with a ValueError.
        """
        return closed() if self._channels.closed else Cancelled("the connection was closed")

    def close(self) -> None:
        """Gives up what is under way."""
        with self._lock:
            closing = self._channels.close()
        for channel in closing:
            channel.close()

    def leave(self, shared: Shared[grpc.Channel]) -> None:
        """A stream is over."""
        with self._lock:
            shared.streams -= 1

    def _shared(self, streams: int) -> tuple[Shared[grpc.Channel], tuple[tuple[str, str], ...]]:
        place = self.target.place()
        with self._lock:
            shared, outdated = self._channels.at(place)
            shared.streams += streams
        for channel in outdated:
            channel.close()
        return shared, authorization(place)


class Stream:
    """The messages of one call."""

    def __init__(self, connection: Connection, shared: Shared[grpc.Channel], call: Any, silence_max_s: float) -> None:
        self._connection = connection
        self._shared: Shared[grpc.Channel] | None = shared
        self._call = call
        self._silence_max_s = silence_max_s

    def read(self) -> Any:
        """The next message; None after the stream ended with OK."""
        watchdog = self._connection.watchdog
        watchdog.watch(self._call, self._silence_max_s)
        try:
            message = next(self._call)
        except StopIteration:
            message = None
        except grpc.RpcError as error:
            if not watchdog.let_go(self._call):
                raise Unavailable(f"nothing was heard for {self._silence_max_s:g} s") from None
            raise self._connection.problem(error) from None
        finally:
            watchdog.let_go(self._call)
        self._connection.answered = True
        return message

    def cancel(self) -> None:
        """Ends it, here and at the service."""
        self._call.cancel()
        if self._shared is not None:
            self._connection.leave(self._shared)
            self._shared = None


class Watchdog:
    """Cancels the calls that are waited on for too long, from one thread that is there while there are any."""

    def __init__(self) -> None:
        # By call, until when it may be silent: as many as there are threads that wait.
        self._until: dict[Any, float] = {}
        self._changed = threading.Condition()
        self._wakes_at: float | None = None

    def watch(self, call: Any, silence_max_s: float) -> None:
        """Cancels a call after so long, unless it is let go before."""
        until = time.monotonic() + silence_max_s
        with self._changed:
            self._until[call] = until
            if self._wakes_at is None:
                self._wakes_at = until
                threading.Thread(target=self._run, name="comet-task-runner-watchdog", daemon=True).start()
            elif until < self._wakes_at:
                self._changed.notify()

    def let_go(self, call: Any) -> bool:
        """False when the call was cancelled, or was not watched."""
        with self._changed:
            return self._until.pop(call, None) is not None

    def _run(self) -> None:
        with self._changed:
            while self._until:
                # Most calls are heard and let go long before: one look at each deadline that was set first.
                self._wakes_at = min(self._until.values())
                self._changed.wait(max(0, self._wakes_at - time.monotonic()))
                now = time.monotonic()
                for call in [call for call, until in self._until.items() if until <= now]:
                    del self._until[call]
                    call.cancel()
            self._wakes_at = None
