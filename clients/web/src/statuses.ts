// How each status looks: a word, a tone and a shape, so that no colour is needed to tell them apart.

import { type Job, Job_Status as Status } from './gen/comet/taskrunner/v1/task_runner_pb.ts';

export interface Look {
  word: string;
  tone: 'live' | 'good' | 'bad' | 'quiet';
  shape: 'dashed' | 'dot' | 'square' | 'tick' | 'cross' | 'bar' | 'clock' | 'question';
}

const LOOKS: Record<Status, Look> = {
  [Status.STATUS_UNSPECIFIED]: { word: 'Unknown', tone: 'quiet', shape: 'question' },
  [Status.CREATED]: { word: 'Waiting', tone: 'live', shape: 'dashed' },
  [Status.RUNNING]: { word: 'Running', tone: 'live', shape: 'dot' },
  [Status.STOPPING]: { word: 'Stopping', tone: 'live', shape: 'square' },
  [Status.DONE]: { word: 'Done', tone: 'good', shape: 'tick' },
  [Status.FAILED]: { word: 'Failed', tone: 'bad', shape: 'cross' },
  [Status.CANCELLED]: { word: 'Cancelled', tone: 'bad', shape: 'bar' },
  [Status.TIMED_OUT]: { word: 'Timed out', tone: 'bad', shape: 'clock' },
  [Status.LOST]: { word: 'Lost', tone: 'bad', shape: 'question' },
};

export function lookOf(job: Job): Look {
  return lookOfStatus(job.status, job.done);
}

export function lookOfStatus(status: Status, done = false): Look {
  // A newer service may have statuses that are not known here; whether it is over is told apart.
  const known = LOOKS[status] as Look | undefined;
  return known ?? { word: `Status ${status}`, tone: done ? 'quiet' : 'live', shape: 'question' };
}
