// What to do about a reason, where there is something to do. The type makes sure that a new one is not forgotten.

import { type Job, Job_Reason as Reason, Job_Status as Status } from './gen/comet/taskrunner/v1/task_runner_pb.ts';

type Remedy = string | ((job: Job) => string);

const LONGER = (which: string) => `If it needs more time, run it again with a longer ${which} timeout, or with none.`;
const LOOK = 'Look at the last picture and at the log for what the page said.';

const REMEDIES: Record<Reason, Remedy> = {
  [Reason.REASON_UNSPECIFIED]: '',
  [Reason.ACCEPTED]: '',
  [Reason.REQUEUED]: '',
  [Reason.LAUNCHED]: '',
  [Reason.CANCEL_REQUESTED]: (job) => (job.status === Status.STOPPING ? '' : 'Run it again if that was a mistake.'),
  [Reason.QUEUE_TIMEOUT]: 'Run it again when fewer tasks wait, with a higher priority, or with a longer queue timeout.',
  [Reason.LAUNCH_TIMEOUT]: 'Look at the log for the browser\u2019s own words, and run `comet-task-runner doctor` on its machine.',
  [Reason.NAVIGATION_TIMEOUT]: `See whether the site answers at all. ${LONGER('navigation')}`,
  [Reason.RUN_TIMEOUT]: `${LOOK} ${LONGER('run')}`,
  [Reason.IDLE_TIMEOUT]: `The page reports signs of life by cometTask.progress. ${LONGER('idle')}`,
  [Reason.SERVICE_AWAY]: 'Keep the service running, as by a unit of the system, and run it again.',
  [Reason.CALLBACK]: (job) => (job.status === Status.FAILED ? 'What the page says is its own; mend that and run it again.' : ''),
  [Reason.PAGE_CLOSED]: '',
  [Reason.RULE_MATCHED]: (job) => (job.status === Status.FAILED ? LOOK : ''),
  [Reason.PROCESS_EXITED]: '',
  [Reason.PROCESS_FAILED]: (job) =>
    job.exitSignal === 9
      ? 'Somebody killed it, or the machine ran out of memory: see the system\u2019s log, then run it again.'
      : 'Look at the log for the browser\u2019s last words, and run it again.',
  [Reason.BROWSER_TERMINATED]: 'Somebody or something told the browser to quit, or its display went away. Run it again.',
  [Reason.PAGE_CRASHED]: 'Run it again. If it crashes each time, look at the log, and try another browser or version.',
  [Reason.OUT_OF_MEMORY]: 'Run it again with fewer tasks at once, or give the machine more memory.',
  [Reason.NAVIGATION_FAILED]: (job) => navigation(job.page?.netError ?? ''),
  [Reason.HTTP_ERROR]: 'Open the address yourself: the site, or a login that it wants, is at fault. Without fail_on_http_error the task would go on.',
  [Reason.PROFILE_IN_USE]: 'Close the browser that uses this profile, or run it again with another profile or none.',
  [Reason.HANDED_OVER]: 'Close the browser that uses this profile, or ask for the tier USER_BROWSER, where this is expected.',
  [Reason.NO_REPORT]: 'The page must call cometTask.done or cometTask.fail before it closes; otherwise run it with the completion policy ANY.',
  [Reason.LAUNCH_FAILED]: 'Run `comet-task-runner doctor` on its machine: it says what is missing.',
  [Reason.SERVICE_RESTARTED]: 'See whether what the task was to do has happened, then run it again.',
  [Reason.HOST_RESTARTED]: 'See whether what the task was to do has happened, then run it again.',
  [Reason.SHIM_DIED]: 'See whether what the task was to do has happened, then run it again. If nobody killed that process, look for lack of memory.',
  [Reason.HANDED_OFF]: 'Its page\u2019s report, a timeout or a cancel ends it.',
  [Reason.DOWNLOADED]: 'The file is among those below.',
  [Reason.DOWNLOAD_FAILED]: 'Run it again; see the log for why it stopped, as that the disk or the task\u2019s share of it is full.',
};

/** What a person can do about how a job stands. Empty when there is nothing to do. */
export function remedyOf(job: Job): string {
  // A newer service may have reasons that are not known here.
  const remedy = REMEDIES[job.reason] as Remedy | undefined;
  return typeof remedy === 'function' ? remedy(job) : remedy ?? '';
}

function navigation(netError: string): string {
  switch (netError) {
    case 'net::ERR_NAME_NOT_RESOLVED':
      return 'Check how the address is written, and the name service of the machine.';
    case 'net::ERR_CONNECTION_REFUSED':
      return 'Check that the site is up, and its port.';
    case 'net::ERR_INTERNET_DISCONNECTED':
    case 'net::ERR_ADDRESS_UNREACHABLE':
      return 'Check the network of the machine, then run it again.';
    case 'net::ERR_UNSAFE_PORT':
      return 'Serve the page on another port.';
    case 'net::ERR_TOO_MANY_REDIRECTS':
      return 'The site may want a login: use a profile that has one.';
    default:
      return netError.startsWith('net::ERR_CERT_')
        ? 'Renew the certificate, or have the machine trust who issued it.'
        : 'Open the address yourself to see whether the site is up, then run it again.';
  }
}
