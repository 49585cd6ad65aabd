// Where a task stands in the list: a key that is compared, so that a change finds its place without a look at the rest.

import type { Job } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { millis } from '../text.ts';
import { type SortBy, STATUSES } from './asked.ts';

export interface Key {
  /** Groups keep their order, whichever way the rest is turned. */
  group: number;
  value: number;
  taskId: string;
}

export type Compare = (a: Key, b: Key) => number;

/** What runs, then what is over, then what never ran. */
const RUNS = 0, RAN = 1, WAITS = 2;

/** The place of a job. That of a running one does not move with time: all of them grow alike. */
export function keyOf(by: SortBy, job: Job): Key {
  const { taskId } = job;
  switch (by) {
    case 'created':
      return { group: 0, value: 0, taskId };
    case 'status': {
      const rank = STATUSES.findIndex((status) => status === job.status);
      return { group: 0, value: rank < 0 ? STATUSES.length : rank, taskId };
    }
    case 'time': {
      const started = millis(job.startedAt);
      const finished = millis(job.finishedAt);
      if (started === undefined) return { group: WAITS, value: 0, taskId };
      if (finished === undefined) return { group: RUNS, value: started, taskId };
      return { group: RAN, value: started - finished, taskId };
    }
  }
}

/** The usual order is the newest first, what is most urgent first, or what takes longest first. Equals stand the newest
 * first in either direction, but where the age itself is turned. */
export function compareBy(by: SortBy, reversed: boolean): Compare {
  const turn = reversed ? -1 : 1;
  const age = by === 'created' ? turn : 1;
  // A task_id begins with the time of its creation.
  return (a, b) => a.group - b.group || turn * (a.value - b.value) || age * (a.taskId < b.taskId ? 1 : a.taskId > b.taskId ? -1 : 0);
}
