// Which tasks the list is to show and in which order, as its address says it.

import { type Job, Job_Status as Status, type Sample } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';

export type SortBy = 'created' | 'status' | 'time';

export interface Asked {
  /** At one of these. Empty: at any. */
  statuses: ReadonlySet<Status>;
  /** With all of these. */
  labels: ReadonlyMap<string, string>;
  /** With this in what is shown of it, in whichever letters. */
  text: string;
  sort: SortBy;
  reversed: boolean;
}

export const STATUSES = [
  Status.RUNNING, Status.CREATED, Status.STOPPING, Status.FAILED, Status.TIMED_OUT, Status.LOST, Status.CANCELLED, Status.DONE,
] as const;

export const SORTS: readonly SortBy[] = ['created', 'status', 'time'];

/** Reads what stands behind the "?" of the list's address. What it does not know counts as not asked. */
export function askedIn(query: string): Asked {
  const given = new URLSearchParams(query);
  const words = (given.get('status') ?? '').split(',');
  const sort = SORTS.find((one) => one === given.get('sort')) ?? 'created';
  return {
    statuses: new Set(STATUSES.filter((status) => words.includes(Status[status]))),
    labels: new Map(given.getAll('label').flatMap((label) => {
      const pair = labelIn(label);
      return pair ? [pair] : [];
    })),
    text: given.get('text') ?? '',
    sort,
    reversed: given.has('reversed'),
  };
}

/** The same as it stands in the address; empty for everything in its usual order. */
export function queryOf(asked: Asked): string {
  const query = new URLSearchParams();
  if (asked.statuses.size > 0) query.set('status', [...asked.statuses].map((status) => Status[status]).join(','));
  for (const [key, value] of asked.labels) query.append('label', `${key}=${value}`);
  if (asked.text !== '') query.set('text', asked.text);
  if (asked.sort !== 'created') query.set('sort', asked.sort);
  if (asked.reversed) query.set('reversed', '');
  // Commas may stand as they are, and are easier to read so.
  return query.toString().replaceAll('%2C', ',').replace(/reversed=$/, 'reversed');
}

/** A label as people write it: "key=value". */
export function labelIn(text: string): [string, string] | undefined {
  const at = text.indexOf('=');
  return at < 1 ? undefined : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/** Something is asked that leaves tasks out. */
export function narrows(asked: Asked): boolean {
  return asked.statuses.size > 0 || asked.labels.size > 0 || asked.text !== '';
}

export function matches(asked: Asked, job: Job, sample: Sample | undefined): boolean {
  if (asked.statuses.size > 0 && !asked.statuses.has(job.status)) return false;
  for (const [key, value] of asked.labels) if (job.labels[key] !== value) return false;
  if (asked.text === '') return true;
  const wanted = asked.text.toLowerCase();
  const has = (text: string | undefined) => text !== undefined && text.toLowerCase().includes(wanted);
  return has(job.url) || has(sample?.pageTitle) || has(sample?.pageUrl) || has(job.taskId) || has(job.message) ||
    has(job.callback?.message) || Object.entries(job.labels).some(([key, value]) => has(`${key}=${value}`));
}
