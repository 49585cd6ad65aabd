// What is known of a job, as terms and values in groups. What is not known is left out.

import { TIER_WORDS } from '../execute/fields.ts';
import {
  Browser_Isolation as Isolation, Browser_Tier as Tier, type Job, Page_LoadState as LoadState, Resources_MemorySource as MemorySource,
  type Sample, TreeEnd_Step as Step,
} from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { exitOf } from '../reasons.ts';
import { lookOf } from '../statuses.ts';
import { millis, span, timeOf } from '../text.ts';
import { between, durationMs, exact } from './measure.ts';

export interface Fact {
  term: string;
  /** One value, or several lines. */
  value: string | string[];
  /** To be read letter by letter. */
  exact?: boolean;
}

export interface Group { title: string; facts: Fact[] }

/** The groups that have something in them. */
export function factsOf(job: Job, sample: Sample | undefined): Group[] {
  const groups = [
    { title: 'Task', facts: task(job) },
    { title: 'Page', facts: page(job, sample) },
    { title: 'Browser', facts: browser(job) },
    { title: 'Process', facts: process(job, sample) },
    { title: 'Taken in all', facts: resources(job) },
    { title: 'Report', facts: report(job) },
  ];
  return groups.filter(({ facts }) => facts.length > 0);
}

type Maybe = Fact | undefined | false;
const known = (facts: Maybe[]): Fact[] => facts.filter((fact): fact is Fact => Boolean(fact));
const when = (term: string, ms: number | undefined): Maybe => ms !== undefined && { term, value: timeOf(ms) };
const text = (term: string, value: string | undefined): Maybe => value !== undefined && value !== '' && { term, value };

function task(job: Job): Fact[] {
  const started = millis(job.startedAt);
  const finished = millis(job.finishedAt);
  return known([
    when('Accepted', millis(job.createdAt)),
    when('Started', started),
    when('Ended', finished),
    started !== undefined && finished !== undefined && { term: 'Took', value: span(finished - started) },
    when('Kept until', millis(job.expiresAt)),
    text('Machine', job.host),
    job.attempt > 1 && { term: 'Attempt', value: String(job.attempt) },
    job.priority !== 0 && { term: 'Priority', value: String(job.priority) },
    { term: 'Revision', value: String(job.revision) },
  ]);
}

const LOAD_STATES: Record<LoadState, string> = {
  [LoadState.LOAD_STATE_UNSPECIFIED]: '',
  [LoadState.LOADING]: 'On its way',
  [LoadState.COMMITTED]: 'There',
  [LoadState.NAVIGATION_ERROR]: 'Could not be fetched',
  [LoadState.CLOSED]: 'Closed',
  [LoadState.CRASHED]: 'Crashed',
  [LoadState.DOWNLOADED]: 'A file, which is there',
};

function page(job: Job, sample: Sample | undefined): Fact[] {
  const { page } = job;
  const at = sample?.pageUrl ?? '';
  return known([
    text('Title', sample?.pageTitle),
    page && text('Document', LOAD_STATES[page.loadState] as string | undefined),
    page && page.url !== '' && page.url !== job.url && { term: 'Came from', value: page.url, exact: true },
    at !== '' && at !== (page?.url || job.url) && { term: 'Is now at', value: at, exact: true },
    page?.httpStatus !== undefined && { term: 'HTTP status', value: String(page.httpStatus) },
    page && page.netError !== '' && { term: 'Net error', value: page.netError, exact: true },
    page && text('Renderer', page.crashStatus),
    sample !== undefined && sample.popupCount > 0 && { term: 'Popups open', value: String(sample.popupCount) },
  ]);
}

/** What a tier means for what is known here. */
const TIER_NOTES: Record<Tier, string> = {
  [Tier.TIER_UNSPECIFIED]: '',
  [Tier.MANAGED]: 'page facts are known',
  [Tier.EXIT_ONLY]: 'nothing of its page is known',
  [Tier.USER_BROWSER]: 'never stopped',
};

function tier(of: Tier): string {
  const word = TIER_WORDS[of] ?? (of === Tier.TIER_UNSPECIFIED ? '' : `Tier ${of}`);
  const note = (TIER_NOTES[of] as string | undefined) ?? '';
  return note === '' ? word : `${word}: ${note}`;
}

function browser(job: Job): Fact[] {
  const { browser } = job;
  if (!browser) return [];
  const version = browser.version === '' ? '' : ` (${browser.version})`;
  return known([
    { term: 'Browser', value: `${browser.name}${version}` },
    text('Tier', tier(browser.tier)),
    { term: 'Window', value: browser.headless ? 'None (headless)' : 'Yes' },
    { term: 'Profile', value: browser.profile === '' ? 'New, gone with the task' : browser.profile },
    browser.isolation === Isolation.CONTEXT && { term: 'Isolation', value: 'A context in a browser that other tasks share' },
    job.handedOff && { term: 'Handed off', value: 'To a browser that was running already' },
  ]);
}

function process(job: Job, sample: Sample | undefined): Fact[] {
  const info = sample?.processInfo;
  const exit = exitOf(job);
  return known([
    job.processId !== 0 && { term: 'Process id', value: String(job.processId), exact: true },
    job.processId !== 0 && { term: 'Alive', value: job.isProcessAlive ? `Yes${info ? `, ${info.status}` : ''}` : 'No' },
    exit !== '' && { term: 'Exit', value: capital(exit.replace(/^(with|by) /, '')) },
    job.processId !== 0 && !job.isProcessAlive && exit === '' && !job.handedOff && { term: 'Exit', value: 'Not known' },
    job.treeEnd && { term: 'Stop', value: stop(job) },
  ]);
}

const STEPS: Record<Step, string> = {
  [Step.STEP_UNSPECIFIED]: 'Unknown step',
  [Step.BY_ITSELF]: 'Left by itself',
  [Step.CLOSED]: 'Asked to close',
  [Step.TERMINATED]: 'Sent SIGTERM',
  [Step.KILLED]: 'Killed',
};

/** How the stop went, a line for each step, with the time from the first one on. */
function stop(job: Job): string[] {
  const end = job.treeEnd;
  if (!end) return [];
  const first = millis(end.steps[0]?.at);
  const since = (at: number | undefined) => (at === undefined || first === undefined ? '' : `${between(at - first)}  `);
  const steps = end.steps.map(({ step, at, processesLeft }, index) => {
    const time = index === 0 ? `${exact(millis(at) ?? 0)}  ` : since(millis(at));
    return `${time}${STEPS[step] ?? `Step ${step}`}: ${processesLeft} ${processesLeft === 1 ? 'process' : 'processes'} left`;
  });
  const ended = millis(end.endedAt);
  if (steps.length === 0) return [`${ended === undefined ? '' : `${exact(ended)}  `}Left by itself: nothing was done to it`];
  return [...steps, `${since(ended)}Nothing left${end.killedCount > 0 ? `, ${end.killedCount} had to be killed` : ''}`];
}

const SOURCES: Record<MemorySource, string> = {
  [MemorySource.MEMORY_SOURCE_UNSPECIFIED]: '',
  [MemorySource.CGROUP]: ', counted by the kernel',
  [MemorySource.SAMPLED]: ', the highest reading while somebody watched',
};

function resources(job: Job): Fact[] {
  const taken = job.resources;
  if (!taken) return [];
  const cpu = durationMs(taken.cpuTime);
  return known([
    cpu !== undefined && { term: 'Processor time', value: span(cpu) },
    taken.peakMemoryMb !== undefined && { term: 'Most memory', value: `${Math.round(taken.peakMemoryMb)} MiB${SOURCES[taken.peakMemorySource] ?? ''}` },
    taken.processCountPeak !== undefined && { term: 'Most processes', value: String(taken.processCountPeak) },
    taken.largestProcessMb > 0 && { term: 'Largest process', value: `${Math.round(taken.largestProcessMb)} MiB` },
  ]);
}

function report(job: Job): Fact[] {
  const { callback } = job;
  if (!callback) return [];
  return known([
    { term: 'Says', value: lookOf({ ...job, status: callback.status, done: true }).word },
    text('Words', callback.message),
    when('Came', millis(callback.reportedAt)),
  ]);
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
