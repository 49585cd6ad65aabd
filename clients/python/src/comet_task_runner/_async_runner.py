"""The client for asyncio. The blocking one is made from it: see `tools/make.py`."""

from __future__ import annotations

import dataclasses
import json
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack

from . import _contract
from ._aio import Connection, sleep
from ._follow import Change, Follow, FollowFile, FollowJob, FollowJobs, FollowLog, JobsChange, Patience
from ._place import Target
from .errors import TaskNotDone, TaskRunnerError
from .messages import (
    CallbackResponse,
    CaptureScreenshotRequest,
    ExecuteOptions,
    ExecuteRequest,
    ExecuteResponse,
    FocusWindowResponse,
    GetRunnerResponse,
    GetStatusResponse,
    Job,
    JobFilterOptions,
    JobStatusWord,
    ListJobsRequestOrderWord,
    LogEntry,
    LogEntryLevelWord,
    LogEntrySourceWord,
    Profile,
    Screenshot,
    ScreenshotFormatWord,
    ScreenshotSourceWord,
    TileWindowsResponse,
    WatchJobRequestUntilWord,
    Window,
)

T = TypeVar("T")

# Longest wait for an answer that is said to come within seconds: many times what a busy machine needs.
ANSWER_WITHIN_S = 30.0
# How long a service that has answered before may be away: a restart takes seconds, an update a minute.
RETRY_FOR_S = 120.0


class AsyncRunner:
    """A task runner.

    Found as the command line finds it: by `server` and its token, else by the state directory of the service on this
    machine, each with the same variables (COMET_TASK_RUNNER_SERVER, _TOKEN_FILE, _CA_FILE, _STATE_DIR).

    While the service is away, an `execute` and whatever watches try again for `retry_for`, if it has answered before;
    None is for ever. All else fails at once, and always with an error of `comet_task_runner.errors`.
    """

    def __init__(
        self,
        server: str | None = None,
        token: str | None = None,
        *,
        state_dir: str | os.PathLike[str] | None = None,
        token_file: str | os.PathLike[str] | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        retry_for: timedelta | float | None = RETRY_FOR_S,
    ) -> None:
        target = Target(server, token, state_dir=state_dir, token_file=token_file, ca_file=ca_file)
        self._connection = Connection(target)
        self._retry_for_s = retry_for.total_seconds() if isinstance(retry_for, timedelta) else retry_for

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Gives up what is under way. Tasks go on."""
        await self._connection.close()

    async def run(
        self,
        request: str | ExecuteRequest,
        *,
        until: WatchJobRequestUntilWord | None = None,
        samples: bool = False,
        **options: Unpack[ExecuteOptions],
    ) -> AsyncRun:
        """Opens a URL as a task, and gives its changes from the first on. What `execute` and `watch` take, it takes."""
        if options.get("validate_only"):
            raise TypeError("run() opens a task; to validate only, call execute()")
        answer = await self.execute(request, **options)
        follow = FollowJob(
            task_id=answer.task_id, until=until, samples=samples, heartbeat_interval=None, from_start=True
        )
        return AsyncRun(self, follow, answer)

    async def execute(self, request: str | ExecuteRequest, **options: Unpack[ExecuteOptions]) -> ExecuteResponse:
        """Opens a URL as a task, or does again what `status` says was asked. Returns once its browser is up.

        Made anew, under the same request_id, when the connection is cut before the answer: there is never a second
        task.
        """
        fields: dict[str, Any] = {"url": request}
        if isinstance(request, ExecuteRequest):
            fields = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
        fields |= options
        fields["request_id"] = fields.get("request_id") or str(uuid.uuid4())
        asked = _contract.request("Execute", fields)
        patience = Patience(self._retry_for_s)
        while True:
            try:
                # Without a deadline: a browser may take as long to come up as its timeout allows.
                answer = await self._connection.call("Execute", asked, None)
            except TaskRunnerError as error:
                if not self._connection.answered:
                    raise
                await sleep(patience.failed(error))
                continue
            response: ExecuteResponse = _contract.python(answer)
            return response

    async def status(self, task_id: str) -> GetStatusResponse:
        """How a task stands now, its latest reading, and what was asked. To hear of changes, watch it."""
        response: GetStatusResponse = await self._call("GetStatus", task_id=task_id)
        return response

    def watch(
        self,
        task_id: str,
        *,
        from_start: bool = False,
        resume_token: str | None = None,
        until: WatchJobRequestUntilWord | None = None,
        samples: bool = False,
        heartbeat_interval: timedelta | float | None = None,
    ) -> AsyncWatch:
        """A task's changes until its end: from how it stands now, from the first on, or behind a resume token.

        Each change comes once, in order, over cuts and restarts of the service. With `samples`, readings come too.
        """
        follow = FollowJob(
            task_id=task_id,
            from_start=from_start,
            resume_token=resume_token,
            until=until,
            samples=samples,
            heartbeat_interval=heartbeat_interval,
        )
        return AsyncWatch(self, follow)

    def watch_jobs(
        self,
        *,
        since: timedelta | float | None = None,
        resume_token: str | None = None,
        samples: bool = False,
        heartbeat_interval: timedelta | float | None = None,
        **filter: Unpack[JobFilterOptions],
    ) -> AsyncTold[JobsChange]:
        """The changes of many tasks, without an end: first a SNAPSHOT of each that is live or finished within `since`.

        Then SYNCED, every CHANGE, and a REMOVED for each that is forgotten. Each comes once, over cuts and restarts.
        """
        follow = FollowJobs(
            filter=filter or None,
            since=since,
            resume_token=resume_token,
            samples=samples,
            heartbeat_interval=heartbeat_interval,
        )
        return AsyncTold(self, follow)

    def list_jobs(
        self,
        *,
        statuses: Sequence[JobStatusWord] = (),
        order: ListJobsRequestOrderWord | None = None,
        page_size: int = 0,
        **filter: Unpack[JobFilterOptions],
    ) -> AsyncJobList:
        """The tasks there are, the newest first unless asked otherwise; pages are fetched as they are needed."""
        return AsyncJobList(
            self, {"statuses": statuses, "order": order, "page_size": page_size, "filter": filter or None}
        )

    async def cancel(
        self, task_id: str, *, termination_grace: timedelta | float | None = None, force: bool = False
    ) -> Job:
        """Asks to end a task, or closes the browser that was kept open behind it."""
        answer = await self._call("CancelJob", task_id=task_id, termination_grace=termination_grace, force=force)
        job: Job = answer.job
        return job

    async def report(
        self,
        task_id: str,
        status: JobStatusWord,
        message: str = "",
        *,
        progress: int | None = None,
        result: object = None,
        callback_token: str = "",
    ) -> CallbackResponse:
        """Reports that a task is DONE or FAILED, with any result that JSON can hold; or RUNNING, with progress."""
        response: CallbackResponse = await self._call(
            "Callback",
            task_id=task_id,
            status=status,
            message=message,
            progress=progress,
            result="" if result is None else json.dumps(result),
            callback_token=callback_token,
        )
        return response

    def read_log(
        self,
        task_id: str,
        *,
        follow: bool = False,
        after_number: int = 0,
        sources: Sequence[LogEntrySourceWord] = (),
        min_level: LogEntryLevelWord | None = None,
    ) -> AsyncLog:
        """What a task's browser said; with `follow`, until the task is over and nothing of its browser is left."""
        log = FollowLog(task_id=task_id, follow=follow, after_number=after_number, sources=sources, min_level=min_level)
        return AsyncLog(self, log)

    def read_file(self, task_id: str, name: str, *, offset: int = 0) -> AsyncTold[bytes]:
        """What is in a file that was kept of a task, piece by piece."""
        return AsyncTold(self, FollowFile(task_id=task_id, name=name, offset=offset))

    async def screenshot(
        self,
        task_id: str,
        *,
        format: ScreenshotFormatWord | None = None,
        quality: int | None = None,
        source: ScreenshotSourceWord | None = None,
        full_page: bool = False,
        selector: str | None = None,
        region: CaptureScreenshotRequest.Region | Mapping[str, float] | None = None,
    ) -> Screenshot:
        """A picture of a task's page, of a part of it, or of its window."""
        answer = await self._call(
            "CaptureScreenshot",
            task_id=task_id,
            format=format,
            quality=quality,
            source=source,
            full_page=full_page or None,
            selector=selector,
            region=region,
        )
        screenshot: Screenshot = answer.screenshot
        return screenshot

    async def windows(self, task_id: str = "") -> tuple[Window, ...]:
        """The windows of a task, or of all tasks."""
        windows: tuple[Window, ...] = (await self._call("ListWindows", task_id=task_id)).windows
        return windows

    async def focus(self, task_id: str, window_id: int = 0) -> FocusWindowResponse:
        """Puts a window of a task before all others."""
        response: FocusWindowResponse = await self._call("FocusWindow", task_id=task_id, window_id=window_id)
        return response

    async def tile(self, task_ids: Sequence[str] = ()) -> TileWindowsResponse:
        """Lays the windows of these tasks, or of all, side by side."""
        response: TileWindowsResponse = await self._call("TileWindows", task_ids=task_ids)
        return response

    async def profiles(self, *, page_size: int = 0) -> AsyncIterator[Profile]:
        """The named profiles that are kept, by browser and name."""
        page_token = ""
        while True:
            page = await self._call("ListProfiles", page_size=page_size, page_token=page_token)
            for profile in page.profiles:
                yield profile
            page_token = page.next_page_token
            if not page_token:
                return

    async def remove_profile(self, name: str, browser: str = "") -> Profile:
        """Removes a named profile with all that is in it. Returns it as it was."""
        profile: Profile = (await self._call("RemoveProfile", name=name, browser=browser)).profile
        return profile

    async def runner(self) -> GetRunnerResponse:
        """What the runner is, what it can do, how busy it is, and what stands in the way of tasks."""
        response: GetRunnerResponse = await self._call("GetRunner")
        return response

    async def _call(self, rpc: str, **fields: Any) -> Any:
        return _contract.python(await self._connection.call(rpc, _contract.request(rpc, fields), ANSWER_WITHIN_S))


class AsyncTold(Generic[T]):
    """What a stream tells, over its cuts. Leaving a loop over it ends the stream; another loop goes on from there."""

    def __init__(self, runner: AsyncRunner, follow: Follow[T]) -> None:
        self._runner = runner
        self._follow = follow

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        follow, connection = self._follow, self._runner._connection
        patience = Patience(self._runner._retry_for_s)
        stream = None
        try:
            while True:
                while follow.pending:
                    yield follow.pending.popleft()
                if follow.over:
                    return
                try:
                    if stream is None:
                        stream = await connection.open(follow.rpc, follow.request, follow.silence_max_s)
                        follow.opened()
                    message = await stream.read()
                    if message is None:
                        follow.ended()
                    else:
                        patience.heard()
                        follow.take(message)
                except TaskRunnerError as error:
                    if stream is not None:
                        stream.cancel()
                        stream = None
                    if not connection.answered:
                        raise
                    delay, follow.retry_delay = follow.retry_delay, None
                    await sleep(patience.failed(error, delay))
        finally:
            if stream is not None:
                stream.cancel()


class AsyncWatch(AsyncTold[Change]):
    """A task's changes."""

    _follow: FollowJob

    @property
    def job(self) -> Job | None:
        """The task as far as it was told. None before the first change."""
        return self._follow.job

    @property
    def resume_token(self) -> str:
        """A later watch goes on from here. Empty before the first change."""
        return str(self._follow.request.resume_token)

    async def result(self, *, check: bool = False) -> Job:
        """Waits for the task's end, and gives the job as it is then. With `check`, any end but DONE is TaskNotDone."""
        async for _ in self:
            pass
        job = self._follow.job
        if job is None:
            raise RuntimeError("a watch ends with a job")
        if check and job.status != Job.Status.DONE:
            raise TaskNotDone(job)
        return job


class AsyncRun(AsyncWatch):
    """A task that was opened here: its changes from the first on."""

    def __init__(self, runner: AsyncRunner, follow: FollowJob, answer: ExecuteResponse) -> None:
        super().__init__(runner, follow)
        self.task_id = answer.task_id
        """Names the task."""
        self.callback_token = answer.callback_token
        """With it a page, or a service on its behalf, may report on this task and on no other."""
        self._answer = answer

    @property
    def job(self) -> Job:
        """The task as far as it was told."""
        return self._follow.job or self._answer.job

    async def cancel(self, *, termination_grace: timedelta | float | None = None, force: bool = False) -> Job:
        """Asks to end the task. Its changes go on until it is over."""
        return await self._runner.cancel(self.task_id, termination_grace=termination_grace, force=force)


class AsyncLog(AsyncTold[LogEntry]):
    """What a task's browser said."""

    _follow: FollowLog

    @property
    def dropped_count(self) -> int:
        """So many entries were gone before they were read."""
        return self._follow.dropped_count

    @property
    def last_number(self) -> int:
        """Everything up to this number is told: where a later reading goes on."""
        return int(self._follow.request.after_number)

    @property
    def was_reset(self) -> bool:
        """The service lost the end of the log, so numbers that were told before may stand for others."""
        return self._follow.was_reset


class AsyncJobList:
    """Tasks, page by page. Each loop over it asks anew."""

    def __init__(self, runner: AsyncRunner, fields: dict[str, Any]) -> None:
        self._runner = runner
        self._fields = fields
        self.resume_token = ""
        """With this token and the same filter `watch_jobs` tells every change since. Empty before the first page."""

    async def __aiter__(self) -> AsyncGenerator[Job, None]:
        page_token = ""
        while True:
            page = await self._runner._call("ListJobs", page_token=page_token, **self._fields)
            if not page_token:
                self.resume_token = page.resume_token
            for job in page.jobs:
                yield job
            page_token = page.next_page_token
            if not page_token:
                return
