"""What is known of a stream over its cuts: where to go on, what was told, how long to wait. Knows no connection."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from . import _contract
from .errors import TaskRunnerError, Unavailable
from .messages import Job, JobSample, LogEntry, Sample, WatchJobResponse, WatchJobsResponse

T = TypeVar("T")

# First wait before another try: shorter than a person notices.
RETRY_FIRST_S = 0.1
# Longest wait between tries: a service that is back is found within seconds.
RETRY_LONGEST_S = 5.0
# The service's own heartbeat where a watch names none, and that of a log.
HEARTBEAT_S = 15.0
# Silence of so many heartbeats is a cut: one may be late, two are not.
HEARTBEATS_MISSED = 2


class Patience:
    """Waits that double, with a random part so that many clients do not come at once, until there were enough."""

    def __init__(self, retry_for_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._retry_for_s = retry_for_s
        self._clock = clock
        self._next_wait_s = RETRY_FIRST_S
        self._failing_since: float | None = None

    def heard(self) -> None:
        """The service was heard: what failed before is forgotten."""
        self._next_wait_s = RETRY_FIRST_S
        self._failing_since = None

    def failed(self, error: TaskRunnerError, retry_delay: timedelta | None = None) -> float:
        """Seconds to wait before another try; the error when it will not pass, or has been there too long.

        The service may have said how long it will be away: before, or with the error.
        """
        if not error.passes:
            raise error
        now = self._clock()
        if self._failing_since is None:
            self._failing_since = now
        if self._retry_for_s is not None and now - self._failing_since >= self._retry_for_s:
            raise error
        retry_delay = error.retry_delay or retry_delay
        if retry_delay is not None:
            # Never before that, and not all at once after it.
            wait_s = min(retry_delay.total_seconds(), RETRY_LONGEST_S) * random.uniform(1, 1.25)
        else:
            wait_s = self._next_wait_s * random.uniform(0.5, 1)
        self._next_wait_s = min(self._next_wait_s * 2, RETRY_LONGEST_S)
        return wait_s


class Follow(Generic[T]):
    """One stream over its cuts."""

    rpc = ""
    silence_max_s = HEARTBEAT_S * HEARTBEATS_MISSED

    def __init__(self, **fields: Any) -> None:
        self.request: Any = _contract.request(self.rpc, fields)
        # What is there to be told, so that who stops in the middle and goes on misses nothing.
        self.pending: deque[T] = deque()
        self.over = False
        # How long the service said that it will be away.
        self.retry_delay: timedelta | None = None

    def opened(self) -> None:
        """A stream was opened with `request`."""

    def take(self, message: Any) -> None:
        """Keeps what a message says."""
        raise NotImplementedError

    def ended(self) -> None:
        """The stream ended with OK."""
        self.over = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A job after one more change; or, when asked for, a new reading of it."""

    kind: WatchJobResponse.Kind
    """SNAPSHOT, CHANGE or, when asked for, SAMPLE."""
    job: Job
    """The job after it."""
    previous_status: Job.Status
    """The status before it, with CHANGE only."""
    sample: Sample | None
    """The latest reading. None when the job is not live, and with CHANGE."""
    reset: bool
    """The store was replaced or forgot the place, so this SNAPSHOT may skip changes, or fall behind."""


class FollowJob(Follow[Change]):
    """One job."""

    rpc = "WatchJob"

    def __init__(self, *, samples: bool, heartbeat_interval: timedelta | float | None, **fields: Any) -> None:
        super().__init__(heartbeat_interval=heartbeat_interval, **fields)
        self.silence_max_s = _silence(heartbeat_interval)
        self.job: Job | None = None
        self._samples = samples

    def take(self, message: Any) -> None:
        if message.resume_token:
            self.request.resume_token = message.resume_token
        if message.HasField("retry_delay"):
            self.retry_delay = message.retry_delay.ToTimedelta()
        self.over = message.final
        told = self.job.revision if self.job else 0
        if message.HasField("job"):
            # A cut may have come between a change and the message that would have told it to the end.
            if message.job.revision > told or message.reset:
                self.job = _contract.python(message.job)
                self._tell(message)
        elif self._samples and message.HasField("sample"):
            self._tell(message)

    def _tell(self, message: Any) -> None:
        if self.job is None:
            return
        said: WatchJobResponse = _contract.python(message)
        kind = WatchJobResponse.Kind.SAMPLE if said.job is None else said.kind
        self.pending.append(
            Change(kind=kind, job=self.job, previous_status=said.previous_status, sample=said.sample, reset=said.reset)
        )

    def ended(self) -> None:
        if not self.over:
            raise Unavailable("the service ended the stream before the task was over")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsChange:
    """One message about one of many jobs, or about all of them."""

    kind: WatchJobsResponse.Kind
    """SNAPSHOT, CHANGE, REMOVED, SYNCED or, when asked for, SAMPLE."""
    task_id: str
    """Whose, with SNAPSHOT, CHANGE and REMOVED. Empty otherwise."""
    job: Job | None
    """The job, with SNAPSHOT and CHANGE."""
    samples: tuple[JobSample, ...]
    """The latest readings, with SYNCED and SAMPLE."""
    reset: bool
    """With the first message of a snapshot: forget what is not in it."""


class FollowJobs(Follow[JobsChange]):
    """Many jobs."""

    rpc = "WatchJobs"

    def __init__(self, *, samples: bool, heartbeat_interval: timedelta | float | None, **fields: Any) -> None:
        super().__init__(heartbeat_interval=heartbeat_interval, **fields)
        self.silence_max_s = _silence(heartbeat_interval)
        self._samples = samples
        # The revision up to which each job is told; an entry goes with its REMOVED.
        self._told: dict[str, int] = {}
        self._is_synced = False
        # A snapshot that is cut is begun again, and may then lack what the first one had: so it is told once it is
        # whole. As large as the snapshot is.
        self._snapshot: list[Any] = []

    def opened(self) -> None:
        self._snapshot.clear()

    def take(self, message: Any) -> None:
        kind: WatchJobsResponse.Kind = _contract.word(message, "kind")
        if kind == WatchJobsResponse.Kind.SNAPSHOT:
            self._snapshot.append(message)
            return
        if kind == WatchJobsResponse.Kind.DRAINING:
            self.retry_delay = message.retry_delay.ToTimedelta()
        elif kind == WatchJobsResponse.Kind.SYNCED:
            self._take_snapshot(message)
        elif kind == WatchJobsResponse.Kind.CHANGE and message.job.revision > self._told.get(message.task_id, 0):
            self._told[message.task_id] = message.job.revision
            self._tell(message)
        elif kind == WatchJobsResponse.Kind.REMOVED:
            self._told.pop(message.task_id, None)
            self._tell(message)
        elif self._samples and message.samples:
            self._tell(message, WatchJobsResponse.Kind.SAMPLE)
        if message.resume_token:
            self.request.resume_token = message.resume_token

    def _take_snapshot(self, synced: Any) -> None:
        first = self._snapshot[0] if self._snapshot else synced
        if first.reset:
            self._told.clear()
        for one in self._snapshot:
            self._told[one.task_id] = one.job.revision
            self._tell(one)
        # With a resume token it comes anew after each cut, and says nothing new.
        if self._snapshot or first.reset or not self._is_synced:
            self._tell(synced)
        self._is_synced = True
        self._snapshot.clear()

    def _tell(self, message: Any, kind: WatchJobsResponse.Kind | None = None) -> None:
        said: WatchJobsResponse = _contract.python(message)
        self.pending.append(
            JobsChange(
                kind=kind or said.kind, task_id=said.task_id, job=said.job, samples=said.samples, reset=said.reset
            )
        )

    def ended(self) -> None:
        raise Unavailable("the service ended a stream that has no end")


class FollowLog(Follow[LogEntry]):
    """What a task's browser said."""

    rpc = "ReadLog"

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.dropped_count = 0
        self.was_reset = False

    def take(self, message: Any) -> None:
        self.dropped_count += message.dropped_count
        self.was_reset |= message.reset
        self.request.after_number = message.last_number
        self.pending.extend(map(_contract.python, message.entries))


class FollowFile(Follow[bytes]):
    """What is in a file."""

    rpc = "ReadFile"

    def take(self, message: Any) -> None:
        self.request.offset = message.offset + len(message.data)
        if message.data:
            self.pending.append(message.data)


def _silence(heartbeat_interval: timedelta | float | None) -> float:
    interval = HEARTBEAT_S if heartbeat_interval is None else heartbeat_interval
    return HEARTBEATS_MISSED * (interval.total_seconds() if isinstance(interval, timedelta) else interval)
