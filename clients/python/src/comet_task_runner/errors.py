"""What goes wrong: one class for each code of gRPC, with the service's own reason on each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import grpc
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from .messages import Job

# Where a gRPC error keeps what it says beyond code and message.
DETAILS_KEY = "grpc-status-details-bin"


class Violation(NamedTuple):
    """A field that is at fault."""

    field: str
    description: str


class TaskRunnerError(Exception):
    """A call did not go through."""

    code: ClassVar[str] = "UNKNOWN"
    """The code of gRPC, such as "NOT_FOUND"."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        violations: Iterable[Violation] = (),
        retry_delay: timedelta | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        """What to tell a person."""
        self.reason = reason
        """The service's reason, such as "TASK_NOT_FOUND". Empty when the service did not say this itself."""
        self.violations = tuple(violations)
        """Each field that is at fault."""
        self.retry_delay = retry_delay
        """How long to wait before calling again. None when it did not say."""
        self.metadata = dict(metadata or {})
        """What belongs to the reason, such as the `state` of a page of which no picture could be taken."""

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})" if self.reason else self.message

    @property
    def passes(self) -> bool:
        """The same call may well go through a moment later: the service restarts, or the connection was cut."""
        return False


class _FromConnection(TaskRunnerError):
    """Comes from the connection unless the service signed it with a reason."""

    @property
    def passes(self) -> bool:
        return not self.reason


class Cancelled(_FromConnection):
    """The call was given up."""

    code = "CANCELLED"


class Unknown(_FromConnection):
    """Something that has no code of its own."""

    code = "UNKNOWN"


class Internal(_FromConnection):
    """A fault of the service, or of the connection."""

    code = "INTERNAL"


class DeadlineExceeded(_FromConnection, TimeoutError):
    """No answer came in time."""

    code = "DEADLINE_EXCEEDED"


class Unavailable(TaskRunnerError, ConnectionError):
    """The service is away, or about to leave."""

    code = "UNAVAILABLE"

    @property
    def passes(self) -> bool:
        """It may be back in a moment."""
        return True


class NoService(Unavailable):
    """No service was found to call."""


class InvalidArgument(TaskRunnerError, ValueError):
    """A field is at fault: see `violations`."""

    code = "INVALID_ARGUMENT"


class OutOfRange(TaskRunnerError, ValueError):
    """The request is too large."""

    code = "OUT_OF_RANGE"


class NotFound(TaskRunnerError, LookupError):
    """There is no such task, file, window or profile, or no more."""

    code = "NOT_FOUND"


class AlreadyExists(TaskRunnerError):
    """The request_id came before with other content."""

    code = "ALREADY_EXISTS"


class PermissionDenied(TaskRunnerError, PermissionError):
    """This token does not allow that."""

    code = "PERMISSION_DENIED"


class Unauthenticated(TaskRunnerError, PermissionError):
    """There is no token, or not a good one."""

    code = "UNAUTHENTICATED"


class ResourceExhausted(TaskRunnerError):
    """A limit is reached: see `retry_delay`."""

    code = "RESOURCE_EXHAUSTED"


class FailedPrecondition(TaskRunnerError):
    """It cannot be done as things stand."""

    code = "FAILED_PRECONDITION"


class Aborted(TaskRunnerError):
    """Something else came in between."""

    code = "ABORTED"


class DataLoss(TaskRunnerError):
    """A part of what was kept is gone."""

    code = "DATA_LOSS"


class Unimplemented(TaskRunnerError):
    """The service does not know this call: it is older than this client."""

    code = "UNIMPLEMENTED"


class TaskNotDone(Exception):
    """A task came to another end than DONE, and `check=True` asked that it should not."""

    def __init__(self, job: Job) -> None:
        super().__init__(
            f"task {job.task_id} is {job.status} ({job.reason})" + (f": {job.message}" if job.message else "")
        )
        self.job = job
        """The job as it ended."""


_BY_CODE = {
    error.code: error
    for error in (
        Cancelled,
        Unknown,
        Internal,
        DeadlineExceeded,
        Unavailable,
        InvalidArgument,
        OutOfRange,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        Unauthenticated,
        ResourceExhausted,
        FailedPrecondition,
        Aborted,
        DataLoss,
        Unimplemented,
    )
}


def from_rpc(error: grpc.RpcError) -> TaskRunnerError:
    """What an error of gRPC says, in a class for its code."""
    code: str = error.code().name
    status = status_pb2.Status()
    trailers: Any = error.trailing_metadata()
    for key, value in trailers or ():
        if key == DETAILS_KEY:
            status.ParseFromString(value)
    reason, metadata, violations, retry_delay = "", {}, [], None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            request = error_details_pb2.BadRequest.FromString(detail.value)
            violations = [Violation(fault.field, fault.description) for fault in request.field_violations]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry_delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay.ToTimedelta()
    return _BY_CODE.get(code, Unknown)(
        error.details() or code, reason=reason, violations=violations, retry_delay=retry_delay, metadata=metadata
    )
