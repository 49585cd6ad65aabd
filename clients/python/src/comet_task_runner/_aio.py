"""Calls and streams that are awaited."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio

from . import _contract
from ._channels import Channels, Shared, authorization, closed
from ._place import Target
from .errors import Cancelled, Unavailable, from_rpc

sleep = asyncio.sleep


class Connection:
    """The way to one service."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.answered = False
        self._channels: Channels[grpc.aio.Channel] = Channels(grpc.aio.insecure_channel, grpc.aio.secure_channel)

    async def call(self, rpc: str, request: Any, within_s: float | None) -> Any:
        """The answer to a call."""
        shared, metadata = await self._shared()
        method: Any = shared.channel.unary_unary(
            _contract.path(rpc), _contract.serialized, _contract.response_class(rpc).FromString
        )
        try:
            call = method(request, timeout=within_s, metadata=metadata)
        except grpc.aio.UsageError:
            raise self.gone() from None
        try:
            answer = await call
        except grpc.RpcError as error:
            raise self.problem(error) from None
        except asyncio.CancelledError:
            raise self.by_whom(call) from None
        self.answered = True
        return answer

    async def open(self, rpc: str, request: Any, silence_max_s: float) -> Stream:
        """The messages of a stream."""
        shared, metadata = await self._shared()
        method: Any = shared.channel.unary_stream(
            _contract.path(rpc), _contract.serialized, _contract.response_class(rpc).FromString
        )
        try:
            call = method(request, metadata=metadata)
        except grpc.aio.UsageError:
            raise self.gone() from None
        return Stream(self, shared, call, silence_max_s)

    def problem(self, error: grpc.RpcError) -> Exception:
        """What an error of gRPC means here."""
        if self._channels.closed:
            return closed()
        problem = from_rpc(error)
        self.answered |= bool(problem.reason)
        return problem

    def by_whom(self, call: Any) -> BaseException:
        """gRPC says the same of a call whose connection was closed and of a task that was cancelled."""
        task = asyncio.current_task()
        if not call.cancelled() or (task and task.cancelling()):
            return asyncio.CancelledError()
        return self.gone()

    def gone(self) -> Exception:
        """The connection was closed meanwhile: by whoever closed the runner, or found the service elsewhere."""
        return closed() if self._channels.closed else Cancelled("the connection was closed")

    async def close(self) -> None:
        """Gives up what is under way."""
        for channel in self._channels.close():
            await channel.close()

    async def _shared(self) -> tuple[Shared[grpc.aio.Channel], tuple[tuple[str, str], ...]]:
        place = self.target.place()
        shared, outdated = self._channels.at(place)
        for channel in outdated:
            await channel.close()
        return shared, authorization(place)


class Stream:
    """The messages of one call."""

    def __init__(
        self, connection: Connection, shared: Shared[grpc.aio.Channel], call: Any, silence_max_s: float
    ) -> None:
        self._connection = connection
        self._shared: Shared[grpc.aio.Channel] | None = shared
        self._call = call
        self._silence_max_s = silence_max_s
        shared.streams += 1

    async def read(self) -> Any:
        """The next message; None after the stream ended with OK."""
        try:
            async with asyncio.timeout(self._silence_max_s):
                message = await self._call.read()
        except TimeoutError:
            raise Unavailable(f"nothing was heard for {self._silence_max_s:g} s") from None
        except grpc.RpcError as error:
            raise self._connection.problem(error) from None
        except asyncio.CancelledError:
            raise self._connection.by_whom(self._call) from None
        self._connection.answered = True
        return None if message is grpc.aio.EOF else message

    def cancel(self) -> None:
        """Ends it, here and at the service."""
        self._call.cancel()
        if self._shared is not None:
            self._shared.streams -= 1
            self._shared = None
