"""A service that follows a script, on a port of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from comet_task_runner import _contract

# More streams than any test has at once.
WORKERS = 24


@dataclass
class Refusal:
    """An error of the service; without a reason, one of the connection."""

    code: grpc.StatusCode
    reason: str = ""
    retry_delay_s: float | None = None


@dataclass
class Step:
    """What else a stream can do than say a message."""

    do: Callable[[grpc.ServicerContext], None]


def _until_gone(context: grpc.ServicerContext) -> None:
    gone = threading.Event()
    if context.add_callback(gone.set):
        gone.wait()


# Says nothing for as long as the caller is there.
HANG = Step(_until_gone)
CUT = Refusal(grpc.StatusCode.UNAVAILABLE)

# A message as JSON has it, or what else a stream can do.
Said = Mapping[str, Any] | Refusal | Step
Streams = Sequence[Sequence[Said]]


@dataclass
class Fake:
    """What each call of an RPC is answered with, in turn; and what was asked."""

    scripts: Mapping[str, Streams]
    asked: dict[str, list[Any]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    peers: set[str] = field(default_factory=set)
    # The RPC of each call that came, and of each that is over.
    came: queue.Queue[str] = field(default_factory=queue.Queue)
    left: queue.Queue[str] = field(default_factory=queue.Queue)

    def __enter__(self) -> Fake:
        self._streams = {rpc: iter(streams) for rpc, streams in self.scripts.items()}
        # A port that a fake has is nobody else's.
        self.server = grpc.server(ThreadPoolExecutor(WORKERS), options=[("grpc.so_reuseport", 0)])
        methods = {method.name: self._method(method) for method in _contract.SERVICE.methods}
        handlers = grpc.method_handlers_generic_handler(_contract.SERVICE.full_name, methods)
        self.server.add_generic_rpc_handlers((handlers,))
        self.address = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop(grace=0).wait()

    def _method(self, method: Any) -> Any:
        parse = message_factory.GetMessageClass(method.input_type).FromString
        kinds = (grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler)

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            return next(stream(request, context))

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            self.asked.setdefault(method.name, []).append(request)
            self.tokens |= {str(value) for key, value in context.invocation_metadata() if key == "authorization"}
            self.peers.add(context.peer())
            context.add_callback(lambda: self.left.put(method.name))
            self.came.put(method.name)
            for said in next(self._streams[method.name]):
                if isinstance(said, Step):
                    said.do(context)
                elif isinstance(said, Refusal):
                    _refuse(context, said)
                else:
                    yield json_format.ParseDict(dict(said), message_factory.GetMessageClass(method.output_type)())

        make: Any = kinds[method.server_streaming]
        return make(stream if method.server_streaming else unary, parse, _contract.serialized)


def _refuse(context: grpc.ServicerContext, refusal: Refusal) -> None:
    status = status_pb2.Status(code=refusal.code.value[0], message="no")
    if refusal.reason:
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=refusal.reason, domain="taskrunner.comet"))
    if refusal.retry_delay_s is not None:
        retry, detail = error_details_pb2.RetryInfo(), AnyMessage()
        retry.retry_delay.FromMilliseconds(int(refusal.retry_delay_s * 1000))
        detail.Pack(retry)
        status.details.append(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(refusal.code, "no")
