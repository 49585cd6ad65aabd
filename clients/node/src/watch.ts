// Watches tasks: one to its end, or many for as long as somebody looks.

import { TaskRunnerError } from './error.js';
import {
  type Job,
  type WatchJobRequest,
  type WatchJobResponse,
  WatchJobResponse_Kind as JobKind,
  type WatchJobsRequest,
  type WatchJobsResponse,
  WatchJobsResponse_Kind as JobsKind,
} from './gen/comet/taskrunner/v1/task_runner_pb.js';
import type { Bounds } from './insist.js';
import type { Link } from './link.js';
import { durationMs } from './plain.js';
import { reopened, silenceMax, type Turn } from './reopened.js';

/** A message of a watch, with the job as it stands: where the message itself has none, as it was told last. */
export type Change = WatchJobResponse & { job: Job };

/** What else a caller wants to hear. */
export interface Samples {
  /** Readings too: messages of the kinds HEARTBEAT and SAMPLE, with progress, title, place in the queue, memory. */
  samples?: boolean | undefined;
}

/** Every change of one job, once, in order. */
export function watchJob(link: Link, request: WatchJobRequest, { samples, ...bounds }: Samples & Bounds): AsyncGenerator<Change, void, undefined> {
  const follow = new Follow(request, samples ?? false);
  return reopened(link, {
    open: (calls, options) => calls.watchJob(follow.request, options),
    take: (message) => follow.take(message),
    turn: ({ kind, final, retryDelay }): Turn | undefined => {
      if (final) return { kind: 'final' };
      return kind === JobKind.DRAINING ? { kind: 'draining', delayMs: retryDelay ? durationMs(retryDelay) : 0 } : undefined;
    },
    endsByItself: false,
    silenceMaxMs: silenceMax(request.heartbeatInterval),
  }, bounds);
}

/** How far one job was told. */
export class Follow {
  #job: Job | undefined;

  constructor(readonly request: WatchJobRequest, private readonly samples: boolean) {}

  take(message: WatchJobResponse): Change | undefined {
    if (message.resumeToken !== '') this.request.resumeToken = message.resumeToken;
    const known = this.#job;
    if (!message.job) {
      const isReading = message.kind === JobKind.HEARTBEAT || message.kind === JobKind.SAMPLE;
      return this.samples && isReading && known ? Object.assign(message, { job: known }) : undefined;
    }
    // Revisions only fall when the store itself was put back, and then the stream says so.
    if (known && !message.reset && message.job.revision <= known.revision) return undefined;
    if (known && message.kind === JobKind.CHANGE && message.job.revision !== known.revision + 1n) throw hole(known, message.job);
    this.#job = message.job;
    return Object.assign(message, { job: message.job });
  }
}

function hole(known: Job, told: Job): TaskRunnerError {
  const words = `a change of ${known.taskId} is missing: revision ${told.revision} was told after ${known.revision}`;
  return new TaskRunnerError('DATA_LOSS', words, { reason: 'REVISION_MISSING' });
}

/** The changes of many jobs. */
export function watchJobs(
  link: Link,
  request: WatchJobsRequest,
  { samples, ...bounds }: Samples & Bounds,
): AsyncGenerator<WatchJobsResponse, void, undefined> {
  const follow = new FollowMany(request, samples ?? false);
  return reopened(link, {
    open: (calls, options) => calls.watchJobs(follow.begin(), options),
    take: (message) => follow.take(message),
    turn: ({ kind, retryDelay }): Turn | undefined =>
      kind === JobsKind.DRAINING ? { kind: 'draining', delayMs: retryDelay ? durationMs(retryDelay) : 0 } : undefined,
    endsByItself: false,
    silenceMaxMs: silenceMax(request.heartbeatInterval),
  }, bounds);
}

/** How far many jobs were told. */
export class FollowMany {
  /** The caller has heard part of a snapshot, and not its end. */
  #halfTold = false;
  /** What comes next is a snapshot in the place of one that was cut. */
  #begunAgain = false;
  #synced = false;

  constructor(private readonly request: WatchJobsRequest, private readonly samples: boolean) {}

  /** What the next stream is asked with. */
  begin(): WatchJobsRequest {
    this.#begunAgain = this.#halfTold;
    return this.request;
  }

  take(message: WatchJobsResponse): WatchJobsResponse | undefined {
    if (message.kind === JobsKind.DRAINING) return undefined;
    // A job of the snapshot that was cut may be gone from the new one.
    if (this.#begunAgain) message.reset = true;
    this.#begunAgain = false;
    if (message.reset) {
      // The token of before leads nowhere, and a snapshot has none until its end.
      this.request.resumeToken = '';
      this.#synced = false;
    }
    if (message.resumeToken !== '') this.request.resumeToken = message.resumeToken;
    return this.#tells(message) ? message : undefined;
  }

  #tells({ kind }: WatchJobsResponse): boolean {
    switch (kind) {
      case JobsKind.SNAPSHOT:
        this.#halfTold = true;
        return true;
      case JobsKind.SYNCED: {
        // After a cut it comes again, and is no news.
        const isNews = !this.#synced;
        this.#synced = true;
        this.#halfTold = false;
        return isNews || this.samples;
      }
      case JobsKind.CHANGE:
      case JobsKind.REMOVED:
        return true;
      case JobsKind.HEARTBEAT:
      case JobsKind.SAMPLE:
        return this.samples;
      case JobsKind.DRAINING:
      case JobsKind.KIND_UNSPECIFIED:
        return false;
      default:
        // A kind of a newer service: what it means is not known here, and it breaks nothing.
        return kind satisfies never, false;
    }
  }
}
