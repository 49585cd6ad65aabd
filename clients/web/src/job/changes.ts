// What each change of a job was, in words: the service's own where it has some, else what differs.

import { type Job, Job_Reason as Reason, Page_LoadState as LoadState } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { sentence } from '../problem.ts';
import { exitOf, messageOf, reasonOf } from '../reasons.ts';
import { bytes } from './measure.ts';

/** What a change says: first what happened, then the rest. */
export interface Said { what: string; more: string[] }

/** What happened with this change. `before` is the job as it was; undefined at its first change, and behind a hole. */
export function saidOf(job: Job, before: Job | undefined): Said {
  if (!before || job.status !== before.status) {
    const message = messageOf(job);
    // What a page says stays as it is.
    const words = job.callback?.message ? message : sentence(message);
    const differs = before ? differences(job, before).filter((one) => one !== reasonOf(job) && !(job.reason === Reason.CALLBACK && one.startsWith('Reported'))) : [];
    return { what: reasonOf(job), more: words === '' ? differs : [words, ...differs] };
  }
  const differs = differences(job, before);
  if (job.message !== before.message && job.message !== '') return { what: sentence(job.message), more: differs.filter(isApart) };
  const [what, ...more] = differs;
  return { what: what ?? 'It was looked at again.', more };
}

/** Words of what the service's own message never says. */
const APART = /^(Kept|Reported|The browser ended|Nothing of)/;
const isApart = (words: string) => APART.test(words);

function differences(job: Job, before: Job): string[] {
  return [
    ...(job.attempt > Math.max(1, before.attempt) ? [`Attempt ${job.attempt}.`] : []),
    ...(job.cancelRequested && !before.cancelRequested ? ['Somebody asked to cancel it.'] : []),
    ...(job.handedOff && !before.handedOff ? ['The browser gave the page to one that was running already.'] : []),
    ...page(job, before),
    ...(job.callback && !before.callback ? [`Reported ${job.done && before.done ? 'after the end' : 'by its page'}.`] : []),
    ...kept(job, before),
    ...(before.isProcessAlive && !job.isProcessAlive ? [`The browser ended${exitOf(job) === '' ? '' : ` ${exitOf(job)}`}.`] : []),
    ...(job.treeEnd && !before.treeEnd ? ['Nothing of its process tree is left.'] : []),
  ];
}

function page(job: Job, before: Job): string[] {
  const now = job.page?.loadState;
  if (now === before.page?.loadState) return [];
  if (now === LoadState.COMMITTED) return [job.page?.httpStatus === undefined ? 'The page is there.' : `The page is there (HTTP ${job.page.httpStatus}).`];
  return now === LoadState.CLOSED && before.done ? ['The page was closed.'] : [];
}

function kept(job: Job, before: Job): string[] {
  const known = new Set(before.files.map(({ name }) => name));
  return job.files.filter(({ name }) => !known.has(name)).map(({ name, sizeBytes }) => `Kept ${name} (${bytes(Number(sizeBytes))}).`);
}
