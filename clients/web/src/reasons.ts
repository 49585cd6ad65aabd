// A sentence for every reason. The type makes sure that a new one is not forgotten.

import { type Job, Job_Reason as Reason, Job_Status as Status, type Sample, Sample_QueueReason as QueueReason } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import { signalName } from './job/signals.ts';
import { sentence } from './problem.ts';

const SENTENCES: Record<Reason, (job: Job) => string> = {
  [Reason.REASON_UNSPECIFIED]: () => '',
  [Reason.ACCEPTED]: () => 'Waiting for its turn.',
  [Reason.REQUEUED]: () => 'Waiting again, since the service restarted before it began.',
  [Reason.LAUNCHED]: () => 'The browser is running.',
  [Reason.CANCEL_REQUESTED]: (job) =>
    job.status === Status.STOPPING ? 'Cancelled; waiting for its browser to leave.' : 'Cancelled on request.',
  [Reason.QUEUE_TIMEOUT]: () => 'It did not get its turn in time.',
  [Reason.LAUNCH_TIMEOUT]: () => 'The browser did not come up in time.',
  [Reason.NAVIGATION_TIMEOUT]: () => 'The page did not arrive in time.',
  [Reason.RUN_TIMEOUT]: () => 'It ran for longer than it may.',
  [Reason.IDLE_TIMEOUT]: () => 'The page gave no sign of life for too long.',
  [Reason.SERVICE_AWAY]: () => 'The service was away for too long to look after its browser.',
  [Reason.CALLBACK]: (job) =>
    job.status === Status.FAILED ? 'The page reported that it failed.' : 'The page reported that it is done.',
  [Reason.PAGE_CLOSED]: () => 'The page was closed.',
  [Reason.RULE_MATCHED]: (job) =>
    job.status === Status.FAILED ? 'The page showed what counts as failed.' : 'The page showed what counts as done.',
  [Reason.PROCESS_EXITED]: () => 'The browser ended by itself.',
  [Reason.PROCESS_FAILED]: (job) => `The browser ended ${exitOf(job) || 'abnormally'}.`,
  [Reason.BROWSER_TERMINATED]: () => 'The browser was ended while its page was open.',
  [Reason.PAGE_CRASHED]: (job) => `The page crashed${job.page?.crashStatus ? ` (${job.page.crashStatus})` : ''}.`,
  [Reason.OUT_OF_MEMORY]: () => 'The page ran out of memory.',
  [Reason.NAVIGATION_FAILED]: (job) => navigation(job.page?.netError ?? ''),
  [Reason.HTTP_ERROR]: (job) =>
    job.page?.httpStatus === undefined ? 'The site answered with an error.' : `The site answered with HTTP ${job.page.httpStatus}.`,
  [Reason.PROFILE_IN_USE]: () => 'Another browser is using its profile.',
  [Reason.HANDED_OVER]: () => 'The browser gave the page to one that was already running, and left.',
  [Reason.NO_REPORT]: () => 'It ended without the report that was asked for.',
  [Reason.LAUNCH_FAILED]: () => 'The browser could not be started.',
  [Reason.SERVICE_RESTARTED]: () => 'The service restarted, and no process can be proven to be this task\u2019s.',
  [Reason.HOST_RESTARTED]: () => 'The machine restarted meanwhile.',
  [Reason.HANDED_OFF]: () => 'It is open in your own browser, which was running already.',
  [Reason.DOWNLOADED]: () => 'The file is downloaded.',
  [Reason.DOWNLOAD_FAILED]: () => 'The file did not come whole.',
  [Reason.SHIM_DIED]: () => 'The process that watched its browser died, so nobody knows how it ended.',
};

/** What browsers call it, and what that means. */
const NET_ERRORS: Record<string, string> = {
  'net::ERR_CONNECTION_REFUSED': 'The site refused the connection',
  'net::ERR_CONNECTION_RESET': 'The site cut the connection',
  'net::ERR_CONNECTION_CLOSED': 'The site closed the connection',
  'net::ERR_CONNECTION_TIMED_OUT': 'The site did not answer in time',
  'net::ERR_TIMED_OUT': 'The site did not answer in time',
  'net::ERR_EMPTY_RESPONSE': 'The site answered nothing',
  'net::ERR_NAME_NOT_RESOLVED': 'There is no site of this name',
  'net::ERR_INTERNET_DISCONNECTED': 'The machine has no network',
  'net::ERR_ADDRESS_UNREACHABLE': 'The site cannot be reached',
  'net::ERR_TOO_MANY_REDIRECTS': 'The site redirects without end',
  'net::ERR_BLOCKED_BY_CLIENT': 'The browser blocked the page',
  'net::ERR_ABORTED': 'Loading was stopped, as by a download',
  'net::ERR_UNSAFE_PORT': 'Browsers do not open this port',
};

/** Why a job stands where it stands, for a person. */
export function reasonOf(job: Job): string {
  // A newer service may have reasons that are not known here.
  const known = SENTENCES[job.reason] as ((job: Job) => string) | undefined;
  return known ? known(job) : `Reason ${job.reason}.`;
}

/** What the service says beyond the reason: not the reason again. */
export function messageOf(job: Job): string {
  const message = job.callback?.message || job.message;
  const netError = job.page?.netError ?? '';
  const repeats = sentence(message) === reasonOf(job) || (netError !== '' && message.startsWith(netError));
  return repeats ? '' : message;
}

function navigation(netError: string): string {
  if (netError === '') return 'The page could not be loaded.';
  const known = NET_ERRORS[netError] ?? (netError.startsWith('net::ERR_CERT_') ? 'The site\u2019s certificate is not valid' : 'The page could not be loaded');
  return `${known} (${netError}).`;
}

/** How the browser process ended: "with exit code 3", "by SIGSEGV (11)". Empty when that is not known. */
export function exitOf(job: Job): string {
  if (job.exitSignal !== undefined) return `by ${signalName(job.exitSignal)}`;
  return job.exitCode === undefined ? '' : `with exit code ${job.exitCode}`;
}

const QUEUE_WORDS: Record<QueueReason, string> = {
  [QueueReason.QUEUE_REASON_UNSPECIFIED]: '',
  [QueueReason.SLOT]: 'All slots are taken.',
  [QueueReason.LAUNCH]: 'Other browsers are coming up.',
  [QueueReason.MEMORY]: 'Too little memory is free.',
  [QueueReason.WINDOW]: 'As many windows are open as may be.',
  [QueueReason.PROFILE]: 'Another task has its profile.',
};

/** What it waits for: in the service's words where it has some. */
export function queuedOf(sample: Sample): string {
  return sentence(sample.queueMessage) || ((QUEUE_WORDS[sample.queueReason] as string | undefined) ?? '');
}
