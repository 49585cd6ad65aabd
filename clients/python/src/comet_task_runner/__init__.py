"""Opens URLs as tasks in a browser, and tells how each ends.

    from comet_task_runner import Runner

    with Runner() as runner:
        for change in runner.run("https://example.org/"):
            print(change.job.status, change.job.reason)

`AsyncRunner` is the same for asyncio. `messages` has what the service tells, `errors` what can go wrong.
"""

from . import errors, messages
from ._async_runner import AsyncJobList, AsyncLog, AsyncRun, AsyncRunner, AsyncTold, AsyncWatch
from ._follow import Change, JobsChange
from ._runner import JobList, Log, Run, Runner, Told, Watch
from .errors import TaskNotDone, TaskRunnerError
from .messages import Browser, ExecuteRequest, Job, JobFilter, LogEntry, Sample, Screenshot, Timeouts

__all__ = [
    "AsyncJobList",
    "AsyncLog",
    "AsyncRun",
    "AsyncRunner",
    "AsyncTold",
    "AsyncWatch",
    "Browser",
    "Change",
    "ExecuteRequest",
    "Job",
    "JobFilter",
    "JobList",
    "JobsChange",
    "Log",
    "LogEntry",
    "Run",
    "Runner",
    "Sample",
    "Screenshot",
    "TaskNotDone",
    "TaskRunnerError",
    "Timeouts",
    "Told",
    "Watch",
    "errors",
    "messages",
]
