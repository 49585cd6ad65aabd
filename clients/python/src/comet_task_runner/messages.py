"""The messages of the contract as Python's own types. Made by `check.sh --write`; not for editing.

A field that is unset is None. An enum's UNSPECIFIED is the empty word, and so false. Times are in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, TypedDict

from ._word import Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The record of a task's execution. Output only."""

    class Status(Word):
        """Where a job stands. More may be added before a terminal one: read `done`."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        CREATED = "CREATED"
        """Accepted and remembered; its browser has not been started."""

        RUNNING = "RUNNING"
        """Its browser process is up."""

        DONE = "DONE"
        """Terminal: the task came to its intended end."""

        FAILED = "FAILED"
        """Terminal: the task came to another end."""

        STOPPING = "STOPPING"
        """Told to end; parts of its process tree may still live."""

        CANCELLED = "CANCELLED"
        """Terminal: ended because somebody asked, and nothing of it runs any more."""

        TIMED_OUT = "TIMED_OUT"
        """Terminal: ended because a timeout passed, and nothing of it runs any
        more.
        """

        LOST = "LOST"
        """Terminal: nobody can say how it ended."""

    class Reason(Word):
        """Why the status is what it is."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        ACCEPTED = "ACCEPTED"
        """CREATED: waiting for its turn."""

        REQUEUED = "REQUEUED"
        """CREATED: waiting again, since the service restarted before its browser
        was let go.
        """

        LAUNCHED = "LAUNCHED"
        """RUNNING: the browser process is up."""

        CANCEL_REQUESTED = "CANCEL_REQUESTED"
        """STOPPING, CANCELLED: somebody asked."""

        QUEUE_TIMEOUT = "QUEUE_TIMEOUT"
        """TIMED_OUT: no slot came free in time."""

        LAUNCH_TIMEOUT = "LAUNCH_TIMEOUT"
        """STOPPING, TIMED_OUT: the browser did not come up in time."""

        NAVIGATION_TIMEOUT = "NAVIGATION_TIMEOUT"
        """STOPPING, TIMED_OUT: the document did not arrive in time."""

        RUN_TIMEOUT = "RUN_TIMEOUT"
        """STOPPING, TIMED_OUT: the task ran too long."""

        IDLE_TIMEOUT = "IDLE_TIMEOUT"
        """STOPPING, TIMED_OUT: the page gave no sign of life for too long."""

        SERVICE_AWAY = "SERVICE_AWAY"
        """STOPPING, TIMED_OUT: no service came back to look after the browser."""

        CALLBACK = "CALLBACK"
        """DONE, FAILED: the page, or a service on its behalf, reported it."""

        PAGE_CLOSED = "PAGE_CLOSED"
        """DONE: a person or a script closed the task's page."""

        RULE_MATCHED = "RULE_MATCHED"
        """DONE, FAILED: a completion rule matched."""

        PROCESS_EXITED = "PROCESS_EXITED"
        """DONE: the process ended with exit code 0, and only that was to decide."""

        PROCESS_FAILED = "PROCESS_FAILED"
        """FAILED: the process ended with another exit code, or by a signal."""

        BROWSER_TERMINATED = "BROWSER_TERMINATED"
        """FAILED: the browser ended cleanly while its page was open, as when it is
        told to quit or loses its display.
        """

        PAGE_CRASHED = "PAGE_CRASHED"
        """FAILED: the page's renderer died."""

        OUT_OF_MEMORY = "OUT_OF_MEMORY"
        """FAILED: the page ran out of memory."""

        NAVIGATION_FAILED = "NAVIGATION_FAILED"
        """FAILED: the document could not be fetched; see Page.net_error."""

        HTTP_ERROR = "HTTP_ERROR"
        """FAILED: HTTP status 400 or above, and fail_on_http_error was set."""

        PROFILE_IN_USE = "PROFILE_IN_USE"
        """FAILED: another browser holds the profile."""

        HANDED_OVER = "HANDED_OVER"
        """FAILED: the process gave its URL to a browser that was already running,
        and left.
        """

        NO_REPORT = "NO_REPORT"
        """FAILED: it ended without the report that REQUIRE_REPORT asked for."""

        LAUNCH_FAILED = "LAUNCH_FAILED"
        """FAILED: the browser process could not be started."""

        SERVICE_RESTARTED = "SERVICE_RESTARTED"
        """LOST: the service restarted and no process can be proven to be this
        job's.
        """

        HOST_RESTARTED = "HOST_RESTARTED"
        """LOST: the machine restarted meanwhile."""

        SHIM_DIED = "SHIM_DIED"
        """LOST: the process that watches the browser died without leaving word."""

        HANDED_OFF = "HANDED_OFF"
        """RUNNING: the process gave its URL to the person's own browser, and left,
        as is expected there. A report, a timeout or somebody's wish ends it.
        """

        DOWNLOADED = "DOWNLOADED"
        """DONE: the URL leads to a file, and it is there: see Job.files."""

        DOWNLOAD_FAILED = "DOWNLOAD_FAILED"
        """FAILED: the URL leads to a file, and it did not come whole."""

    task_id: str = ""
    """The task's name: a UUIDv7."""

    url: str = ""
    """What is opened, in its normal form."""

    status: Job.Status
    """Where it stands."""

    done: bool = False
    """True once the status is terminal, whatever terminal ones come to exist."""

    reason: Job.Reason
    """Why it stands there."""

    message: str = ""
    """The same for a person. Empty when the reason says it all."""

    created_at: datetime
    """When it was accepted."""

    started_at: datetime | None = None
    """When its browser came up. Unset before."""

    finished_at: datetime | None = None
    """When its status became terminal. Unset before."""

    updated_at: datetime
    """When this revision was made."""

    expires_at: datetime | None = None
    """When it may be forgotten. Unset while it is live."""

    process_id: int = 0
    """The browser's process id. 0 when no browser was started."""

    is_process_alive: bool = False
    """True while the browser process is known to live. It can outlive the task:
    see ExecuteRequest.after_finish.
    """

    exit_code: int | None = None
    """The exit code of the browser process. Unset while it lives, when a signal
    ended it, and when nobody knows.
    """

    exit_signal: int | None = None
    """The signal that ended the browser process. Unset otherwise."""

    page: Page | None = None
    """The task's page. Unset where page facts are not known, and before the
    first of them.
    """

    browser: Browser
    """The browser that runs it."""

    callback: CallbackReport | None = None
    """The report of its end. Unset when there is none."""

    cancel_requested: bool = False
    """Somebody asked to cancel it."""

    host: str = ""
    """The machine that runs it."""

    attempt: int = 0
    """1, or 2 when it was started anew after a restart of the service."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """The caller's own marks."""

    revision: int = 0
    """1, 2, 3 … per job, without holes."""

    tree_end: TreeEnd | None = None
    """What its process tree came to. Unset while any of it lives."""

    files: tuple[JobFile, ...] = ()
    """What was kept of it: what it downloaded, and its last picture. ReadFile
    gives what is in them. They are gone with the job.
    """

    priority: int = 0
    """Among those that wait, a higher one goes first."""

    handed_off: bool = False
    """Its process gave its URL to the person's own browser, and left. No process
    is known from then on, whatever its status.
    """

    resources: Resources | None = None
    """What its process tree took in all. Unset while any of it lives, and where
    that is not known.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFile:
    """A file that was kept of a job."""

    class Kind(Word):
        """What kind of file."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        DOWNLOAD = "DOWNLOAD"
        """The page downloaded it."""

        SCREENSHOT = "SCREENSHOT"
        """What the page showed last, before it ended FAILED or TIMED_OUT, or by a
        rule.
        """

    name: str = ""
    """Names it within its job; what the page called it, with a number where that
    was taken.
    """

    kind: JobFile.Kind
    """What kind of file."""

    size_bytes: int = 0
    """How many bytes it has."""

    kept_at: datetime
    """When it was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is known of a task's page."""

    class LoadState(Word):
        """How far the document got."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        LOADING = "LOADING"
        """On its way."""

        COMMITTED = "COMMITTED"
        """There."""

        NAVIGATION_ERROR = "NAVIGATION_ERROR"
        """It could not be fetched."""

        CLOSED = "CLOSED"
        """Closed by a person or a script."""

        CRASHED = "CRASHED"
        """Its renderer died."""

        DOWNLOADED = "DOWNLOADED"
        """The URL leads to a file, which is there. While it comes: LOADING."""

    url: str = ""
    """Where the document came from, after redirects. Empty before it is there."""

    http_status: int | None = None
    """Its HTTP status. Unset before it is there, and when it came otherwise."""

    net_error: str = ""
    """The browser's name for what went wrong, such as
    "net::ERR_CONNECTION_REFUSED". Empty when nothing did.
    """

    load_state: Page.LoadState
    """How far it got."""

    crash_status: str = ""
    """The renderer's end in the browser's own word, such as "crashed". Empty
    unless load_state is CRASHED.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """The browser that runs a task."""

    class Tier(Word):
        """What can be asked of it."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        MANAGED = "MANAGED"
        """It answers over its debugging pipe: page facts are known."""

        EXIT_ONLY = "EXIT_ONLY"
        """A browser of its own, started without debugging: only its exit is known."""

        USER_BROWSER = "USER_BROWSER"
        """The person's own browser with the person's own profile, which may be
        running already. It holds its slot until it ends, so give it a timeout.
        Neither stopped nor signalled, whatever becomes of the task: only reports, timeouts and wishes end it, or the exit of the
        process, where the browser was not running before.
        """

    class Capability(Word):
        """What a browser in its tier can do for a task, beside opening its URL and
        taking its reports over HTTP.
        """

        UNSPECIFIED = ""
        """Not set; never sent."""

        PAGE_FACTS = "PAGE_FACTS"
        """Tells of its page: that it came, failed, crashed or was closed."""

        REPORT_BINDING = "REPORT_BINDING"
        """Its pages have window.cometTask."""

        PAGE_SCREENSHOT = "PAGE_SCREENSHOT"
        """Gives pictures of its page."""

        WINDOWS = "WINDOWS"
        """Its windows are its task's alone."""

        DOWNLOADS = "DOWNLOADS"
        """What its pages download is kept."""

        DIALOGS = "DIALOGS"
        """Dialogs can be answered without a person."""

        PAGE_LOG = "PAGE_LOG"
        """Tells what its pages print."""

        WARM_CONTEXT = "WARM_CONTEXT"
        """Can share a warm browser."""

        STOP = "STOP"
        """Is ended with its task, its whole process tree with it."""

        EXIT_STATUS = "EXIT_STATUS"
        """How its process ends says something of the task."""

        PROFILE = "PROFILE"
        """Starts with a profile that the task chooses."""

        HEADLESS = "HEADLESS"
        """Runs without a window."""

    class Isolation(Word):
        """What a task shares with others."""

        UNSPECIFIED = ""
        """The same as PROCESS."""

        PROCESS = "PROCESS"
        """Nothing: a browser of its own."""

        CONTEXT = "CONTEXT"
        """A warm browser, in which it has a context of its own: quicker and
        lighter, but when that browser ends, so do all of its tasks. Only where
        the browser is MANAGED, with an ephemeral profile, and not with the
        completion policy PROCESS_EXIT (INVALID_ARGUMENT, CONTEXT_CANNOT, else).
        A grace below 5 s, or none by force, counts as 5 s: the others are to
        live. A run timeout that passes while no service is there is dealt with
        by the next one.
        """

    name: str = ""
    """The name by which this runner lists it."""

    version: str = ""
    """Product and version in the browser's own words. Empty before it answered,
    and where it cannot.
    """

    headless: bool = False
    """Without a window."""

    tier: Browser.Tier
    """What can be asked of it."""

    profile: str = ""
    """The named profile. Empty for one that is gone with the job."""

    isolation: Browser.Isolation
    """What the task shares with others."""

    capabilities: tuple[Browser.Capability, ...] = ()
    """What it can do for the task, in its tier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackReport:
    """A report of a task's end."""

    status: Job.Status
    """DONE or FAILED."""

    message: str = ""
    """What it says to people. May be empty."""

    result: str = ""
    """JSON text, at most 64 KiB. Empty when it gave none."""

    reported_at: datetime
    """When it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEnd:
    """The proof that nothing of a process tree is left."""

    class Step(Word):
        """How far the stop had to go."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        BY_ITSELF = "BY_ITSELF"
        """Nothing was done to it."""

        CLOSED = "CLOSED"
        """It was asked over its pipe, or its pipe was closed."""

        TERMINATED = "TERMINATED"
        """It was sent SIGTERM."""

        KILLED = "KILLED"
        """It, or some of its children, were killed."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class StepTaken:
        """A step of the stop, when it was taken."""

        step: TreeEnd.Step
        """Which: CLOSED, TERMINATED or KILLED."""

        at: datetime
        """When."""

        processes_left: int = 0
        """How many processes of the tree lived just before."""

    step: TreeEnd.Step
    """The furthest step that was needed."""

    killed_count: int = 0
    """How many processes had to be killed."""

    steps: tuple[TreeEnd.StepTaken, ...] = ()
    """The steps that were taken, each once, in their order. KILLED is also the
    end of what a browser left behind that left by itself. Empty when nothing
    was done to it.
    """

    ended_at: datetime
    """When nothing was left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a process tree took over its whole life."""

    class MemorySource(Word):
        """How the most memory is known."""

        UNSPECIFIED = ""
        """Not set; sent when peak_memory_mb is unset."""

        CGROUP = "CGROUP"
        """The kernel kept count in the tree's control group, file caches included."""

        SAMPLED = "SAMPLED"
        """The highest reading of ProcessInfo.memory_mb that was made while somebody
        watched, of those with pss_measured if there were any; there may have
        been more between two.
        """

    cpu_time: timedelta
    """Processor time of all its processes, of those too that ended early."""

    peak_memory_mb: float | None = None
    """The most memory that it took at once, in MiB. Unset when nobody measured
    it.
    """

    peak_memory_source: Resources.MemorySource
    """How that is known."""

    process_count_peak: int | None = None
    """The most processes that were seen at once. Unset when nobody looked."""

    largest_process_mb: float = 0.0
    """The most that one of its processes ever had resident, in MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A reading that is not a change: the latest only, without a revision."""

    class QueueReason(Word):
        """Why a job waits."""

        UNSPECIFIED = ""
        """It does not wait."""

        SLOT = "SLOT"
        """All slots are taken, or will be by those before it."""

        LAUNCH = "LAUNCH"
        """There is a slot for it, and other browsers are coming up."""

        MEMORY = "MEMORY"
        """Less memory is available than is to stay free."""

        WINDOW = "WINDOW"
        """As many windows are open as may be, some perhaps of tasks that are over."""

        PROFILE = "PROFILE"
        """The browser of another task has its profile."""

    queue_position: int | None = None
    """Place in the queue, 1 for the next: by priority, then by turns between the
    groups that the runner's `fair_label` tells apart, then first come, first
    served; those that cannot go for a reason of their own (WINDOW, PROFILE)
    after those that can, until they can. A SAMPLE tells when it changes. Unset
    when it does not queue.
    """

    progress: int | None = None
    """Percent, 0 to 100, as the page last said. Unset when it never did."""

    progress_message: str = ""
    """What it said with it. May be empty."""

    page_title: str = ""
    """The page's title. Empty when not known."""

    page_url: str = ""
    """Where the page is now. Empty when not known."""

    process_info: ProcessInfo | None = None
    """The browser's process tree. Unset when none of it lives, when nobody has
    watched for long enough to have a reading, and without a browser.
    """

    dialog: Dialog | None = None
    """A dialog that is left to a person: it stands open, in the page or in one
    that it opened. Unset when there is none.
    """

    popup_count: int = 0
    """How many pages that the task's page opened, and those opened in turn, are
    open now.
    """

    queue_reason: Sample.QueueReason
    """Why it waits."""

    queue_message: str = ""
    """The same for a person. Empty when it does not queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialog:
    """A question of a page, which stands still until it is answered."""

    class Kind(Word):
        """What kind of question."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        ALERT = "ALERT"
        """It only tells."""

        CONFIRM = "CONFIRM"
        """Yes or no."""

        PROMPT = "PROMPT"
        """It wants a text."""

        BEFOREUNLOAD = "BEFOREUNLOAD"
        """Whether to leave the page."""

    kind: Dialog.Kind
    """What kind of question."""

    message: str = ""
    """The page's words, at most 1 KiB of them. May be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessInfo:
    """A reading of a browser's process tree: the browser process and all its
    descendants together.
    """

    pid: int = 0
    """The browser process."""

    name: str = ""
    """Its name, as the system has it."""

    status: str = ""
    """What the system says of the browser process: "running", "sleeping",
    "stopped", "zombie" and others.
    """

    cpu_percent: float | None = None
    """Of the whole tree, in percent of one processor; may be above 100. Unset
    until there have been two readings to compare.
    """

    memory_mb: float = 0.0
    """Of the whole tree, in MiB; memory that processes share is counted once
    (PSS), or in each of them (RSS) where the system does not tell: see
    pss_measured.
    """

    process_count: int = 0
    """How many processes the tree has."""

    sampled_at: datetime
    """When it was read."""

    rss_mb: float = 0.0
    """Of the whole tree, in MiB; memory that processes share is counted in each
    of them (RSS).
    """

    pss_measured: bool = False
    """memory_mb is the PSS of every process. False: the system does not tell it
    of some, or they are so new that it was not read yet.
    """

    shared: bool = False
    """It is of a browser that other tasks share (isolation CONTEXT): the tree's
    figures are of all of them together, not of this task alone.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each stretch may take. Unset means the default; a zero duration
    means without limit. At most 366 days each.
    """

    queue: timedelta | None = None
    """From acceptance to its turn, whatever it waits for. Default: without
    limit.
    """

    launch: timedelta | None = None
    """From there to the browser's first answer (EXIT_ONLY: to RUNNING).
    Default: 30 s.
    """

    navigation: timedelta | None = None
    """From there to the task's document. Default: 60 s."""

    run: timedelta | None = None
    """From RUNNING to the end. Default: without limit."""

    idle: timedelta | None = None
    """From one report or sign of life of the page to the next. Default: without
    limit.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteRequest:
    """Asks to open a URL."""

    class Mode(Word):
        """With a window or without."""

        UNSPECIFIED = ""
        """The same as AUTO."""

        AUTO = "AUTO"
        """With a window when the service has a display, else without."""

        HEADED = "HEADED"
        """With a window."""

        HEADLESS = "HEADLESS"
        """Without."""

    class CompletionPolicy(Word):
        """Which facts end the task."""

        UNSPECIFIED = ""
        """The same as ANY."""

        ANY = "ANY"
        """The first of: a report, the page's end, and, where there are no page
        facts, the exit of the process.
        """

        REQUIRE_REPORT = "REQUIRE_REPORT"
        """As ANY, but an end without a report is FAILED (NO_REPORT)."""

        PROCESS_EXIT = "PROCESS_EXIT"
        """Only the exit of the process; the rest is recorded."""

    class AfterFinish(Word):
        """What becomes of the browser when the task is over."""

        UNSPECIFIED = ""
        """CLOSE without a window, KEEP_OPEN with one and in the person's own
        browser.
        """

        CLOSE = "CLOSE"
        """It is closed."""

        KEEP_OPEN = "KEEP_OPEN"
        """It stays for a person to look at, without holding a slot. Its window
        counts among those that may be open: see Limits.windows_max.
        """

    class DialogPolicy(Word):
        """What becomes of an alert, a confirm, a prompt or a beforeunload."""

        UNSPECIFIED = ""
        """ACCEPT without a window, LEAVE with one."""

        ACCEPT = "ACCEPT"
        """It is accepted at once."""

        DISMISS = "DISMISS"
        """It is dismissed at once."""

        LEAVE = "LEAVE"
        """It is a person's to answer; the page stands still until then."""

    class CallbackDelivery(Word):
        """How the page learns how to report."""

        UNSPECIFIED = ""
        """BINDING in the tier MANAGED, FRAGMENT in USER_BROWSER, and in EXIT_ONLY
        nothing: a page there learns of its task by itself, or by FRAGMENT.
        """

        BINDING = "BINDING"
        """By window.cometTask, where page facts are known."""

        FRAGMENT = "FRAGMENT"
        """"#ctr=<task_id>.<callback_token>" is appended to the URL: the page posts
        its report to /callback. For browsers without page facts; a URL with a
        fragment of its own is refused. Beside it, BINDING holds too. Where the
        URL is kept the token is: in the history of a named profile, and without
        page facts in the browser's arguments, which others on its machine may
        read. It is good for this task alone.
        """

    url: str = ""
    """An absolute http or https URL of at most 8 KiB, without user name or
    control characters. Required.
    """

    request_id: str = ""
    """A UUID of the caller's making. The same id with the same content gives the
    same job again, for as long as that job is kept. Empty: every call makes a
    job.
    """

    browser: str = ""
    """A browser by the name this runner lists. Empty: its first one."""

    mode: ExecuteRequest.Mode
    """With a window or without."""

    profile: str = ""
    """The name of a profile that keeps its logins, [a-z0-9._-], at most 40
    characters; one job at a time. Empty: a new one, gone with the job.
    """

    completion_policy: ExecuteRequest.CompletionPolicy
    """Which facts end the task."""

    fail_on_http_error: bool = False
    """An HTTP status of 400 and above is FAILED (HTTP_ERROR)."""

    callback_delivery: ExecuteRequest.CallbackDelivery
    """How the page learns how to report."""

    callback_origins: tuple[str, ...] = ()
    """Origins, such as "https://example.org", whose pages may report: through
    window.cometTask, and over HTTP from another origin. Empty: the URL's own.
    At most 16.
    """

    timeouts: Timeouts | None = None
    """How long each stretch may take."""

    termination_grace: timedelta | None = None
    """How long the browser may take to leave by itself before it is killed.
    Unset: 5 s. At most 10 minutes.
    """

    after_finish: ExecuteRequest.AfterFinish
    """What becomes of the browser when the task is over."""

    retention: timedelta | None = None
    """How long the job is kept after its end. Unset: 7 days. At most 366 days. It
    is forgotten about a second after that, and never while its browser lives.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    """The caller's own marks: at most 32, keys of 1 to 63 characters, values of
    at most 255.
    """

    validate_only: bool = False
    """Check everything, start nothing: the answer has the job as it would be,
    without a task_id.
    """

    tier: Browser.Tier
    """What is to be asked of the browser. Unset: the most that it can, but never
    the person's own. A field that the tier cannot honour is refused
    (TIER_CANNOT), never ignored: see Browser.capabilities.
    """

    isolation: Browser.Isolation
    """What the task shares with others."""

    priority: int = 0
    """Among those that wait, a higher one goes first. From -100 to 100. Among
    equals the groups of the runner's `fair_label` take turns.
    """

    dialogs: ExecuteRequest.DialogPolicy
    """What becomes of the dialogs that its pages open."""

    wait_for_popups: bool = False
    """The page's end ends the task only once the pages that it opened, and those
    opened in turn, are closed as well. One that crashes counts as closed.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteResponse:
    """The job that was made, or the one that request_id made before."""

    task_id: str = ""
    """The task's name. Empty with validate_only."""

    process_id: int = 0
    """The browser's process id. 0 when it has not been started yet."""

    job: Job
    """The job as it stands."""

    callback_token: str = ""
    """With this token a page, or a service on its behalf, may report on this
    task and on no other. Empty with validate_only.
    """

    resume_token: str = ""
    """With this token WatchJob tells every change of the job, from the first on.
    Empty with validate_only.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStatusRequest:
    """Asks for one job."""

    task_id: str = ""
    """Which. Required."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStatusResponse:
    """One job as it stands."""

    job: Job
    """The job."""

    sample: Sample | None = None
    """The latest reading. Unset when the job is not live."""

    request: ExecuteRequest
    """What was asked, without request_id: an Execute of it runs the same again.
    Browser, tier and mode are those that were chosen; whatever else was left
    at its default is left out.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequest:
    """Reports how a task goes."""

    task_id: str = ""
    """Which. Required."""

    status: Job.Status
    """DONE, FAILED, or RUNNING for a sign of life. Required."""

    message: str = ""
    """What to say to people, at most 4 KiB. May be empty."""

    callback_token: str = ""
    """The token from ExecuteResponse. Empty: the call carries an API token."""

    progress: int | None = None
    """Percent, 0 to 100, with RUNNING only. Unset: not known."""

    result: str = ""
    """JSON text, at most 64 KiB, with DONE and FAILED only. Empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackResponse:
    """What became of a report."""

    job: Job
    """The job after it."""

    applied: bool = False
    """False when the same report was there before."""

    cancel_requested: bool = False
    """Somebody asked to cancel the task: a page can stop by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchJobRequest:
    """Asks for one job's changes."""

    class Until(Word):
        """When the stream is over."""

        UNSPECIFIED = ""
        """The same as TASK_DONE."""

        TASK_DONE = "TASK_DONE"
        """With the first terminal status."""

        PROCESS_EXITED = "PROCESS_EXITED"
        """With the exit of the browser process after it."""

    task_id: str = ""
    """Which. Required."""

    resume_token: str = ""
    """The last one of an earlier stream of this job: its changes go on from
    there. Empty: begin with a snapshot.
    """

    heartbeat_interval: timedelta | None = None
    """Longest silence. Unset: 15 s. From 1 s to 10 minutes."""

    until: WatchJobRequest.Until
    """When the stream is over."""

    from_start: bool = False
    """Begin with every change from the first on, instead of a snapshot. A
    resume_token goes before it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchJobResponse:
    """One message of a watch."""

    class Kind(Word):
        """What kind of message."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        SNAPSHOT = "SNAPSHOT"
        """The job as it stood when the stream began."""

        CHANGE = "CHANGE"
        """The job after one more change."""

        HEARTBEAT = "HEARTBEAT"
        """Nothing changed for a while. Carries the resume token and the sample."""

        SAMPLE = "SAMPLE"
        """A new reading, at most one per second; never instead of a change."""

        DRAINING = "DRAINING"
        """The service is about to leave: call again after retry_delay, with the
        resume token. An UNAVAILABLE follows.
        """

    kind: WatchJobResponse.Kind
    """What kind of message."""

    job: Job | None = None
    """The whole job, with SNAPSHOT and CHANGE. Unset otherwise."""

    previous_status: Job.Status
    """The status before this change, with CHANGE only."""

    revision: int = 0
    """The revision up to which this stream has told everything."""

    resume_token: str = ""
    """Goes on from here. Opaque; valid over restarts of the service."""

    reset: bool = False
    """The given resume token could not be honoured, so this SNAPSHOT may skip
    changes.
    """

    final: bool = False
    """The last message of the stream."""

    sample: Sample | None = None
    """The latest reading, with SNAPSHOT, HEARTBEAT and SAMPLE. Unset when the
    job is not live.
    """

    retry_delay: timedelta | None = None
    """How long to wait before calling again, with DRAINING only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs, by facts that never change. A job is meant when it satisfies all
    that is set.
    """

    task_ids: tuple[str, ...] = ()
    """These jobs only. Empty: any. At most 1000."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Jobs with all of these labels."""

    created_after: datetime | None = None
    """Jobs that were accepted then or later."""

    created_before: datetime | None = None
    """Jobs that were accepted earlier."""

    url_contains: str = ""
    """Jobs with this text in their URL, in the same letters. Empty: any. At most
    1 KiB.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ListJobsRequest:
    """Asks for a page of jobs."""

    class Order(Word):
        """In which order."""

        UNSPECIFIED = ""
        """The same as NEWEST_FIRST."""

        NEWEST_FIRST = "NEWEST_FIRST"
        """By creation, the latest first."""

        OLDEST_FIRST = "OLDEST_FIRST"
        """By creation, the earliest first."""

    page_size: int = 0
    """At most so many. 0: 100. More than 1000 is taken as 1000. A page can be
    shorter, even empty, and yet not be the last: read next_page_token.
    """

    page_token: str = ""
    """The next_page_token of the page before, with the same request else. Empty:
    the first page.
    """

    filter: JobFilter | None = None
    """Which jobs. Unset: all."""

    statuses: tuple[Job.Status, ...] = ()
    """Jobs that stand at one of these now. Empty: any."""

    order: ListJobsRequest.Order
    """In which order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListJobsResponse:
    """A page of jobs."""

    jobs: tuple[Job, ...] = ()
    """The jobs, whole, at most 2 MiB of them."""

    next_page_token: str = ""
    """Asks for the next page. Empty: this is the last one."""

    resume_token: str = ""
    """With this token and the same filter WatchJobs tells every change since the
    first page was begun.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchJobsRequest:
    """Asks for the changes of many jobs."""

    filter: JobFilter | None = None
    """Which jobs. Unset: all."""

    resume_token: str = ""
    """The last one of an earlier stream, or of ListJobs, with this filter: its
    changes go on from there. Empty: begin with a snapshot.
    """

    since: timedelta | None = None
    """The snapshot has live jobs, and those that finished within this time.
    Unset: only live ones. At most 366 days.
    """

    heartbeat_interval: timedelta | None = None
    """Longest silence. Unset: 15 s. From 1 s to 10 minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchJobsResponse:
    """One message of a watch of many jobs."""

    class Kind(Word):
        """What kind of message."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        SNAPSHOT = "SNAPSHOT"
        """One job as it stood when the stream began."""

        SYNCED = "SYNCED"
        """Everything up to now is told: what is not here is not there."""

        CHANGE = "CHANGE"
        """A job after one more change."""

        REMOVED = "REMOVED"
        """A job is forgotten; only its task_id is known. So a filter by task_ids is
        the only one that holds here: with any other, it comes for every job.
        """

        HEARTBEAT = "HEARTBEAT"
        """Nothing changed for a while. Carries the samples of all live jobs."""

        SAMPLE = "SAMPLE"
        """The samples that are new since the last message with samples, at most
        one message a second.
        """

        DRAINING = "DRAINING"
        """The service is about to leave: call again after retry_delay, with the
        resume token. An UNAVAILABLE follows.
        """

    kind: WatchJobsResponse.Kind
    """What kind of message."""

    task_id: str = ""
    """Whose message, with SNAPSHOT, CHANGE and REMOVED. Empty otherwise."""

    job: Job | None = None
    """The whole job, with SNAPSHOT and CHANGE. Unset otherwise."""

    resume_token: str = ""
    """Goes on from here. Opaque; valid over restarts of the service. Empty until
    the SYNCED of a snapshot: one that was cut is begun again.
    """

    reset: bool = False
    """With the first message of a snapshot: the given resume token could not be
    honoured, or this stream fell behind further than the store remembers, so
    the snapshot may skip changes. Forget what is not in it.
    """

    samples: tuple[JobSample, ...] = ()
    """The latest readings of live jobs, with SYNCED, HEARTBEAT and SAMPLE: at most
    1 MiB of them. What does not fit follows in SAMPLEs.
    """

    retry_delay: timedelta | None = None
    """How long to wait before calling again, with DRAINING only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSample:
    """The latest reading of one live job."""

    task_id: str = ""
    """Whose."""

    sample: Sample
    """What was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRunnerRequest:
    """Asks what this runner is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRunnerResponse:
    """What this runner is and how busy it is."""

    class Scope(Word):
        """What a token lets its bearer do; each has what is before it."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        OBSERVE = "OBSERVE"
        """Read and watch."""

        OPERATE = "OPERATE"
        """Open, end, report on, show and picture tasks."""

        ADMIN = "ADMIN"
        """All there is: remove profiles too."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class KnownBrowser:
        """A browser that a task can ask for."""

        name: str = ""
        """The name to ask for."""

        version: str = ""
        """Its version, where that can be read without running it."""

        tier: Browser.Tier
        """What is asked of it where a task says nothing else: the most."""

        path: str = ""
        """Its program."""

        tiers: tuple[GetRunnerResponse.KnownTier, ...] = ()
        """All that can be asked of it, that tier first."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class KnownTier:
        """A tier that can be asked of a browser."""

        tier: Browser.Tier
        """The tier."""

        capabilities: tuple[Browser.Capability, ...] = ()
        """What the browser can do for a task in it."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Limits:
        """What bounds this runner."""

        slots: int = 0
        """Jobs that run at once."""

        queue_max: int = 0
        """Jobs that may wait."""

        watchers_max: int = 0
        """Streams that may watch at once."""

        launches_max: int = 0
        """Browsers that may be coming up at once."""

        memory_floor_mb: int = 0
        """No task is started while fewer MiB of memory are available. 0: whatever
        is available.
        """

        windows_max: int = 0
        """Tasks that may have their windows open, those included that are over and
        were kept open.
        """

        windows_evict: bool = False
        """The window that was kept open the longest is closed when another is
        wanted and windows_max are open.
        """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Load:
        """How busy it is."""

        slots_taken: int = 0
        """Slots that are taken."""

        queue_len: int = 0
        """Jobs that wait."""

        jobs_live: int = 0
        """Jobs that are looked after, finished ones with an open window included."""

        watchers: int = 0
        """Streams that watch."""

        launches_in_flight: int = 0
        """Browsers that are coming up."""

        windows_open: int = 0
        """Tasks with their windows open, those included that are over."""

        windows_kept: int = 0
        """Those of them that are over."""

        memory_available_mb: int | None = None
        """MiB of memory that browsers could have: the machine's, or less where a
        control group bounds the service. Unset where the system does not tell.
        """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Problem:
        """Something that stands in the way of tasks, or of some of them."""

        what: str = ""
        """What is wrong, for a person."""

        remedy: str = ""
        """What to do about it. Empty when there is nothing to do but to wait."""

    version: str = ""
    """The version of the program."""

    host: str = ""
    """The machine's name."""

    started_at: datetime
    """When the service was started."""

    browsers: tuple[GetRunnerResponse.KnownBrowser, ...] = ()
    """The first one is taken when a task names none."""

    limits: GetRunnerResponse.Limits
    """What bounds it."""

    load: GetRunnerResponse.Load
    """How busy it is."""

    has_display: bool = False
    """It can open windows."""

    ready: bool = False
    """It takes tasks. False: `problems` says why."""

    draining: bool = False
    """It is about to leave."""

    problems: tuple[GetRunnerResponse.Problem, ...] = ()
    """What stands in the way of tasks, or of some of them."""

    scope: GetRunnerResponse.Scope
    """What the caller may do here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJobRequest:
    """Asks to end a task."""

    task_id: str = ""
    """Which. Required."""

    termination_grace: timedelta | None = None
    """How long the browser may take to leave by itself. Unset: what Execute
    said. At most 10 minutes.
    """

    force: bool = False
    """Kill at once, without grace. Nothing is stopped in tier USER_BROWSER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJobResponse:
    """The job after the wish was recorded."""

    job: Job
    """The job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListProfilesRequest:
    """Asks for the named profiles."""

    page_size: int = 0
    """At most so many. 0: 100. More than 1000 is taken as 1000."""

    page_token: str = ""
    """The next_page_token of the page before. Empty: the first page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListProfilesResponse:
    """A page of named profiles."""

    profiles: tuple[Profile, ...] = ()
    """By browser, then by name."""

    next_page_token: str = ""
    """Asks for the next page. Empty: this is the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named profile that is kept here."""

    name: str = ""
    """The name to ask for."""

    browser: str = ""
    """The browser that it is of: each has its own."""

    size_bytes: int = 0
    """What it takes on the disk."""

    last_used_at: datetime
    """When anything in it was last written."""

    task_id: str = ""
    """The task that uses it, a finished one with its browser kept open included.
    Empty: none.
    """

    waiting_count: int = 0
    """How many tasks wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveProfileRequest:
    """Asks to remove a named profile."""

    name: str = ""
    """Which. Required."""

    browser: str = ""
    """Whose. Empty: the only browser's that has one of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveProfileResponse:
    """The profile is gone."""

    profile: Profile
    """As it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureScreenshotRequest:
    """Asks for a picture."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Region:
        """A part of the page, in CSS pixels from its top left corner, wherever it is
        scrolled to.
        """

        x: float = 0.0
        """From the left."""

        y: float = 0.0
        """From the top."""

        width: float = 0.0
        """Above 0."""

        height: float = 0.0
        """Above 0."""

    task_id: str = ""
    """Which. Required."""

    format: Screenshot.Format
    """How it is encoded. Unset: PNG."""

    quality: int | None = None
    """From 1 to 100, with JPEG only. Unset: 80."""

    source: Screenshot.Source
    """Where it may come from. Unset: AUTO."""

    full_page: bool | None = None
    """From its top to its end, up to 16384 pixels a side and 32 million in all."""

    selector: str | None = None
    """The first element that this CSS selector finds in the top frame. It need
    not be in view. At most 1 KiB.
    """

    region: CaptureScreenshotRequest.Region | None = None
    """This part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureScreenshotResponse:
    """The picture that was taken."""

    screenshot: Screenshot
    """The picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screenshot:
    """A picture of a task."""

    class Format(Word):
        """How a picture is encoded."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        PNG = "PNG"
        """Without loss."""

        JPEG = "JPEG"
        """Smaller, with loss."""

    class Source(Word):
        """Where a picture comes from."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        AUTO = "AUTO"
        """The page; its window, where there is one, when the page cannot answer."""

        PAGE = "PAGE"
        """The page alone, as the browser draws it."""

        WINDOW = "WINDOW"
        """The window, with the browser's own frame, as it was drawn last: also when
        others cover it.
        """

    image: bytes = b""
    """The picture, less than 4 MiB."""

    format: Screenshot.Format
    """How it is encoded."""

    width: int = 0
    """How wide it is, in pixels."""

    height: int = 0
    """How high it is, in pixels."""

    source: Screenshot.Source
    """Where it comes from: PAGE or WINDOW."""

    captured_at: datetime
    """When it was there."""

    truncated: bool = False
    """What was asked for is larger than a picture may be, or than the page: the
    right or lower part of it is missing.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBounds:
    """A place on the screen, in pixels."""

    x: int = 0
    """From the left of the screen; negative when part of it lies outside."""

    y: int = 0
    """From the top."""

    width: int = 0
    """How wide."""

    height: int = 0
    """How high."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window of a task's browser."""

    class Role(Word):
        """What a window is for."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        PAGE = "PAGE"
        """It shows the task's page."""

        POPUP = "POPUP"
        """A page of the task opened it, with a size of its own."""

        OTHER = "OTHER"
        """Anything else: a dialog, a window that a person opened, or one whose
        page was the task's and is closed.
        """

    window_id: int = 0
    """Names it on its display for as long as it is there; then the number may
    come to be another's. Never 0.
    """

    task_id: str = ""
    """Whose."""

    title: str = ""
    """What it says of itself: the page's words, at most 256 characters, without
    control characters. May be empty.
    """

    role: Window.Role
    """What it is for."""

    bounds: WindowBounds
    """Where it is, with its frame."""

    focused: bool = False
    """It, or a dialog of it, has the keyboard."""

    minimised: bool = False
    """It is not on the screen but in the desktop's list."""

    on_top: bool = False
    """No other window lies above it, but for its own dialogs and for those that
    the desktop keeps above all.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ListWindowsRequest:
    """Asks for windows."""

    task_id: str = ""
    """Whose. Empty: those of all tasks with a living browser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListWindowsResponse:
    """Windows as they were at one moment."""

    windows: tuple[Window, ...] = ()
    """A task's windows stand together, the oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusWindowRequest:
    """Asks to see a window."""

    task_id: str = ""
    """Whose. Required."""

    window_id: int = 0
    """Which of its windows. 0: that of the task's page, or when that is closed,
    the oldest one that is there.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusWindowResponse:
    """What became of the wish to see a window."""

    class Outcome(Word):
        """How far it came."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        FOCUSED = "FOCUSED"
        """Read back: it has the keyboard, and nothing lies above it."""

        REQUESTED = "REQUESTED"
        """The desktop was asked, and it had not happened a second later."""

        UNVERIFIABLE = "UNVERIFIABLE"
        """The browser put its page in front, and this desktop lets nobody see what
        became of it.
        """

    outcome: FocusWindowResponse.Outcome
    """How far it came."""

    window: Window | None = None
    """The window as it was read back. Unset when the outcome is UNVERIFIABLE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileWindowsRequest:
    """Asks to lay windows side by side."""

    task_ids: tuple[str, ...] = ()
    """Whose, at most 1000. Empty: those of all tasks with a living browser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileWindowsResponse:
    """Windows side by side."""

    windows: tuple[Window, ...] = ()
    """Each as it was read back."""

    overlap: bool = False
    """Some lie over each other: they cannot be made small enough for the screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFileRequest:
    """Asks for what is in a file."""

    task_id: str = ""
    """Of which job. Required."""

    name: str = ""
    """Which of its files, by the name that Job.files has. Required."""

    offset: int = 0
    """Where to begin, in bytes: how much of it is there already. Empty: at the
    beginning.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFileResponse:
    """A piece of a file."""

    data: bytes = b""
    """At most 64 KiB, which follow what came before."""

    offset: int = 0
    """Where in the file it begins."""

    size_bytes: int = 0
    """How many bytes the file has in all."""

    content_type: str = ""
    """Always "application/octet-stream": what it is nobody has looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """Something that a task's browser said, or that was noted of it."""

    class Source(Word):
        """Who said it."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        OUTPUT = "OUTPUT"
        """The browser's processes, a line of their standard output or error."""

        CONSOLE = "CONSOLE"
        """Scripts of the task's page: console calls, exceptions that nothing
        caught, and what the browser puts beside them. Where page facts are known.
        """

        NETWORK = "NETWORK"
        """The browser, of a request of the task's page that failed or was answered
        with an HTTP status of 400 or above. Where page facts are known.
        """

        PAGE = "PAGE"
        """The service, of the page: what became of a dialog or a download."""

        BROWSER = "BROWSER"
        """The service, of the browser."""

    class Level(Word):
        """How much it matters, in the speaker's own judgement."""

        UNSPECIFIED = ""
        """Not set; never sent."""

        DEBUG = "DEBUG"
        """For whoever looks for a fault."""

        INFO = "INFO"
        """As it goes."""

        WARNING = "WARNING"
        """Not as it should be."""

        ERROR = "ERROR"
        """Wrong."""

    number: int = 0
    """1, 2, 3 … per job, without holes."""

    said_at: datetime
    """When it was said; for OUTPUT, when it was heard."""

    source: LogEntry.Source
    """Who said it."""

    level: LogEntry.Level
    """How much it matters."""

    text: str = ""
    """What was said: at most 4 KiB, longer texts are cut; without control
    characters but tabs and line ends. The task's callback token is never in
    it. It is a page's or a browser's word, and nobody's promise.
    """

    url: str = ""
    """Where it was said, or the address of the request. At most 2 KiB. Empty
    where it is not known.
    """

    line: int = 0
    """The line there, from 1 on. 0 where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLogRequest:
    """Asks for what a task's browser said."""

    task_id: str = ""
    """Which. Required."""

    after_number: int = 0
    """Begin after the entry with this number. 0: with the first."""

    follow: bool = False
    """Go on as more is said, until the task is over and nothing of its browser
    is left.
    """

    sources: tuple[LogEntry.Source, ...] = ()
    """Only entries of these sources. Empty: of all."""

    min_level: LogEntry.Level
    """Only entries of this level and above. LEVEL_UNSPECIFIED: of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLogResponse:
    """What comes next in a log."""

    entries: tuple[LogEntry, ...] = ()
    """The next entries that were asked for. Empty when there is only something
    else to tell, and every 15 s of silence.
    """

    dropped_count: int = 0
    """So many entries before these, of whichever source and level, were gone
    before they were read.
    """

    last_number: int = 0
    """Everything up to this number is told: the next after_number."""

    reset: bool = False
    """after_number lies ahead of this log, as when the service was killed and
    could not write it: it is told from its first entry, and numbers that were
    told before now stand for others.
    """


JobStatusWord: TypeAlias = (
    Job.Status | Literal["CREATED", "RUNNING", "DONE", "FAILED", "STOPPING", "CANCELLED", "TIMED_OUT", "LOST"]
)
"""Job.Status, or its word."""
JobReasonWord: TypeAlias = (
    Job.Reason
    | Literal[
        "ACCEPTED",
        "REQUEUED",
        "LAUNCHED",
        "CANCEL_REQUESTED",
        "QUEUE_TIMEOUT",
        "LAUNCH_TIMEOUT",
        "NAVIGATION_TIMEOUT",
        "RUN_TIMEOUT",
        "IDLE_TIMEOUT",
        "SERVICE_AWAY",
        "CALLBACK",
        "PAGE_CLOSED",
        "RULE_MATCHED",
        "PROCESS_EXITED",
        "PROCESS_FAILED",
        "BROWSER_TERMINATED",
        "PAGE_CRASHED",
        "OUT_OF_MEMORY",
        "NAVIGATION_FAILED",
        "HTTP_ERROR",
        "PROFILE_IN_USE",
        "HANDED_OVER",
        "NO_REPORT",
        "LAUNCH_FAILED",
        "SERVICE_RESTARTED",
        "HOST_RESTARTED",
        "SHIM_DIED",
        "HANDED_OFF",
        "DOWNLOADED",
        "DOWNLOAD_FAILED",
    ]
)
"""Job.Reason, or its word."""
JobFileKindWord: TypeAlias = JobFile.Kind | Literal["DOWNLOAD", "SCREENSHOT"]
"""JobFile.Kind, or its word."""
PageLoadStateWord: TypeAlias = (
    Page.LoadState | Literal["LOADING", "COMMITTED", "NAVIGATION_ERROR", "CLOSED", "CRASHED", "DOWNLOADED"]
)
"""Page.LoadState, or its word."""
BrowserTierWord: TypeAlias = Browser.Tier | Literal["MANAGED", "EXIT_ONLY", "USER_BROWSER"]
"""Browser.Tier, or its word."""
BrowserCapabilityWord: TypeAlias = (
    Browser.Capability
    | Literal[
        "PAGE_FACTS",
        "REPORT_BINDING",
        "PAGE_SCREENSHOT",
        "WINDOWS",
        "DOWNLOADS",
        "DIALOGS",
        "PAGE_LOG",
        "WARM_CONTEXT",
        "STOP",
        "EXIT_STATUS",
        "PROFILE",
        "HEADLESS",
    ]
)
"""Browser.Capability, or its word."""
BrowserIsolationWord: TypeAlias = Browser.Isolation | Literal["PROCESS", "CONTEXT"]
"""Browser.Isolation, or its word."""
TreeEndStepWord: TypeAlias = TreeEnd.Step | Literal["BY_ITSELF", "CLOSED", "TERMINATED", "KILLED"]
"""TreeEnd.Step, or its word."""
ResourcesMemorySourceWord: TypeAlias = Resources.MemorySource | Literal["CGROUP", "SAMPLED"]
"""Resources.MemorySource, or its word."""
SampleQueueReasonWord: TypeAlias = Sample.QueueReason | Literal["SLOT", "LAUNCH", "MEMORY", "WINDOW", "PROFILE"]
"""Sample.QueueReason, or its word."""
DialogKindWord: TypeAlias = Dialog.Kind | Literal["ALERT", "CONFIRM", "PROMPT", "BEFOREUNLOAD"]
"""Dialog.Kind, or its word."""
ExecuteRequestModeWord: TypeAlias = ExecuteRequest.Mode | Literal["AUTO", "HEADED", "HEADLESS"]
"""ExecuteRequest.Mode, or its word."""
ExecuteRequestCompletionPolicyWord: TypeAlias = (
    ExecuteRequest.CompletionPolicy | Literal["ANY", "REQUIRE_REPORT", "PROCESS_EXIT"]
)
"""ExecuteRequest.CompletionPolicy, or its word."""
ExecuteRequestAfterFinishWord: TypeAlias = ExecuteRequest.AfterFinish | Literal["CLOSE", "KEEP_OPEN"]
"""ExecuteRequest.AfterFinish, or its word."""
ExecuteRequestDialogPolicyWord: TypeAlias = ExecuteRequest.DialogPolicy | Literal["ACCEPT", "DISMISS", "LEAVE"]
"""ExecuteRequest.DialogPolicy, or its word."""
ExecuteRequestCallbackDeliveryWord: TypeAlias = ExecuteRequest.CallbackDelivery | Literal["BINDING", "FRAGMENT"]
"""ExecuteRequest.CallbackDelivery, or its word."""
WatchJobRequestUntilWord: TypeAlias = WatchJobRequest.Until | Literal["TASK_DONE", "PROCESS_EXITED"]
"""WatchJobRequest.Until, or its word."""
WatchJobResponseKindWord: TypeAlias = (
    WatchJobResponse.Kind | Literal["SNAPSHOT", "CHANGE", "HEARTBEAT", "SAMPLE", "DRAINING"]
)
"""WatchJobResponse.Kind, or its word."""
ListJobsRequestOrderWord: TypeAlias = ListJobsRequest.Order | Literal["NEWEST_FIRST", "OLDEST_FIRST"]
"""ListJobsRequest.Order, or its word."""
WatchJobsResponseKindWord: TypeAlias = (
    WatchJobsResponse.Kind | Literal["SNAPSHOT", "SYNCED", "CHANGE", "REMOVED", "HEARTBEAT", "SAMPLE", "DRAINING"]
)
"""WatchJobsResponse.Kind, or its word."""
GetRunnerResponseScopeWord: TypeAlias = GetRunnerResponse.Scope | Literal["OBSERVE", "OPERATE", "ADMIN"]
"""GetRunnerResponse.Scope, or its word."""
ScreenshotFormatWord: TypeAlias = Screenshot.Format | Literal["PNG", "JPEG"]
"""Screenshot.Format, or its word."""
ScreenshotSourceWord: TypeAlias = Screenshot.Source | Literal["AUTO", "PAGE", "WINDOW"]
"""Screenshot.Source, or its word."""
WindowRoleWord: TypeAlias = Window.Role | Literal["PAGE", "POPUP", "OTHER"]
"""Window.Role, or its word."""
FocusWindowResponseOutcomeWord: TypeAlias = (
    FocusWindowResponse.Outcome | Literal["FOCUSED", "REQUESTED", "UNVERIFIABLE"]
)
"""FocusWindowResponse.Outcome, or its word."""
LogEntrySourceWord: TypeAlias = LogEntry.Source | Literal["OUTPUT", "CONSOLE", "NETWORK", "PAGE", "BROWSER"]
"""LogEntry.Source, or its word."""
LogEntryLevelWord: TypeAlias = LogEntry.Level | Literal["DEBUG", "INFO", "WARNING", "ERROR"]
"""LogEntry.Level, or its word."""


class TimeoutsOptions(TypedDict, total=False):
    """How long each stretch may take. Unset means the default; a zero duration
    means without limit. At most 366 days each.
    """

    queue: timedelta | float | None
    """From acceptance to its turn, whatever it waits for. Default: without
    limit.
    """

    launch: timedelta | float | None
    """From there to the browser's first answer (EXIT_ONLY: to RUNNING).
    Default: 30 s.
    """

    navigation: timedelta | float | None
    """From there to the task's document. Default: 60 s."""

    run: timedelta | float | None
    """From RUNNING to the end. Default: without limit."""

    idle: timedelta | float | None
    """From one report or sign of life of the page to the next. Default: without
    limit.
    """


class ExecuteOptions(TypedDict, total=False):
    """Asks to open a URL."""

    request_id: str | None
    """A UUID of the caller's making. The same id with the same content gives the
    same job again, for as long as that job is kept. Empty: every call makes a
    job.
    """

    browser: str | None
    """A browser by the name this runner lists. Empty: its first one."""

    mode: ExecuteRequestModeWord | None
    """With a window or without."""

    profile: str | None
    """The name of a profile that keeps its logins, [a-z0-9._-], at most 40
    characters; one job at a time. Empty: a new one, gone with the job.
    """

    completion_policy: ExecuteRequestCompletionPolicyWord | None
    """Which facts end the task."""

    fail_on_http_error: bool | None
    """An HTTP status of 400 and above is FAILED (HTTP_ERROR)."""

    callback_delivery: ExecuteRequestCallbackDeliveryWord | None
    """How the page learns how to report."""

    callback_origins: Sequence[str]
    """Origins, such as "https://example.org", whose pages may report: through
    window.cometTask, and over HTTP from another origin. Empty: the URL's own.
    At most 16.
    """

    timeouts: Timeouts | TimeoutsOptions | None
    """How long each stretch may take."""

    termination_grace: timedelta | float | None
    """How long the browser may take to leave by itself before it is killed.
    Unset: 5 s. At most 10 minutes.
    """

    after_finish: ExecuteRequestAfterFinishWord | None
    """What becomes of the browser when the task is over."""

    retention: timedelta | float | None
    """How long the job is kept after its end. Unset: 7 days. At most 366 days. It
    is forgotten about a second after that, and never while its browser lives.
    """

    labels: Mapping[str, str]
    """The caller's own marks: at most 32, keys of 1 to 63 characters, values of
    at most 255.
    """

    validate_only: bool | None
    """Check everything, start nothing: the answer has the job as it would be,
    without a task_id.
    """

    tier: BrowserTierWord | None
    """What is to be asked of the browser. Unset: the most that it can, but never
    the person's own. A field that the tier cannot honour is refused
    (TIER_CANNOT), never ignored: see Browser.capabilities.
    """

    isolation: BrowserIsolationWord | None
    """What the task shares with others."""

    priority: int | None
    """Among those that wait, a higher one goes first. From -100 to 100. Among
    equals the groups of the runner's `fair_label` take turns.
    """

    dialogs: ExecuteRequestDialogPolicyWord | None
    """What becomes of the dialogs that its pages open."""

    wait_for_popups: bool | None
    """The page's end ends the task only once the pages that it opened, and those
    opened in turn, are closed as well. One that crashes counts as closed.
    """


class JobFilterOptions(TypedDict, total=False):
    """Which jobs, by facts that never change. A job is meant when it satisfies all
    that is set.
    """

    task_ids: Sequence[str]
    """These jobs only. Empty: any. At most 1000."""

    labels: Mapping[str, str]
    """Jobs with all of these labels."""

    created_after: datetime | None
    """Jobs that were accepted then or later."""

    created_before: datetime | None
    """Jobs that were accepted earlier."""

    url_contains: str | None
    """Jobs with this text in their URL, in the same letters. Empty: any. At most
    1 KiB.
    """
