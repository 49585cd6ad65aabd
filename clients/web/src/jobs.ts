// What a stream of jobs has told: a fold over its messages, which knows a hole when it sees one.

import { type Job, type Sample, type WatchJobsResponse, WatchJobsResponse_Kind as Kind } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import { millis } from './text.ts';

/** Finished jobs that are kept. More than a busy machine ends in a day, and at some 3 KiB each for every tab and once for
 * the worker, less than the page itself takes. Beyond it the oldest ones are let go: ListJobs still has them. */
export const FINISHED_MAX = 5000;
/** So many more may gather before they are let go together, so that finding them costs each little. */
export const FINISHED_SURPLUS = 250;
/** Clocks of the service and of this machine may differ by so much. */
const CLOCKS_APART_MS = 3_600_000;

/** What a message did to the jobs. */
export type Effect =
  | { kind: 'nothing' }
  /** Anything may be different: read all. */
  | { kind: 'all' }
  | { kind: 'changed'; job: Job }
  /** Forgotten by the service, or let go here. */
  | { kind: 'removed'; taskIds: string[] }
  /** New readings; with `whole`, a job without one has none any more. */
  | { kind: 'samples'; samples: Samples; whole: boolean }
  /** A change is missing, so what is known of this job is not to be trusted. Nothing was applied. */
  | { kind: 'hole'; taskId: string; known: bigint; told: bigint };

/** The latest reading of each job that has one, by task_id. */
export type Samples = Record<string, Sample>;

export class Jobs {
  /** Goes on after the last message that was applied. Empty: only a snapshot tells what is. */
  resumeToken = '';
  /** Every job that was accepted then or later is known. */
  completeSinceMs = Infinity;

  #finished = 0;
  #known = new Map<string, Job>();
  #samples = new Map<string, Sample>();
  /** What the snapshot that is coming in has told so far. */
  #snapshot: Map<string, Job> | undefined;

  /** The snapshots that come have what finished within `sinceMs`. */
  constructor(private readonly sinceMs = 0, private readonly now: () => number = Date.now) {}

  /** A stream is opened: with the resume token it goes on, without it begins with a snapshot. */
  begin(): void {
    this.#snapshot = this.resumeToken === '' ? new Map() : undefined;
  }

  /** What was told is not to be trusted: the next stream begins with a snapshot. */
  distrust(): void {
    this.resumeToken = '';
  }

  apply(message: WatchJobsResponse): Effect {
    // A store that is not the one of before: the new snapshot alone counts.
    if (message.reset) {
      this.resumeToken = '';
      this.#snapshot = new Map();
    }
    const effect = this.#apply(message);
    if (effect.kind !== 'hole' && message.resumeToken !== '') this.resumeToken = message.resumeToken;
    return effect;
  }

  all(): Job[] {
    return [...this.#known.values()];
  }

  samples(): Samples {
    return Object.fromEntries(this.#samples);
  }

  #apply(message: WatchJobsResponse): Effect {
    switch (message.kind) {
      case Kind.SNAPSHOT:
        if (message.job) (this.#snapshot ??= new Map()).set(message.taskId, message.job);
        return { kind: 'nothing' };
      case Kind.SYNCED:
        return this.#sync(message);
      case Kind.CHANGE:
        return message.job ? this.#change(message.job) : { kind: 'nothing' };
      case Kind.REMOVED:
        this.#snapshot?.delete(message.taskId);
        return this.#forget([message.taskId]);
      case Kind.HEARTBEAT:
        return this.#read(message, true);
      case Kind.SAMPLE:
        return this.#read(message, false);
      case Kind.DRAINING:
      case Kind.KIND_UNSPECIFIED:
        return { kind: 'nothing' };
      default:
        // A kind of a newer service: what it means is not known here, and it breaks nothing.
        return message.kind satisfies never, { kind: 'nothing' };
    }
  }

  #sync(message: WatchJobsResponse): Effect {
    this.#read(message, true);
    if (!this.#snapshot) return { kind: 'samples', samples: this.samples(), whole: true };
    this.#known = this.#snapshot;
    this.#snapshot = undefined;
    this.#finished = 0;
    for (const job of this.#known.values()) if (job.done) this.#finished += 1;
    // What is missing ended before, and so was accepted before.
    this.completeSinceMs = this.now() - this.sinceMs + CLOCKS_APART_MS;
    this.trim();
    return { kind: 'all' };
  }

  #change(job: Job): Effect {
    const known = this.#snapshot?.get(job.taskId) ?? this.#known.get(job.taskId);
    if (known && job.revision <= known.revision) return { kind: 'nothing' };
    if (known && job.revision !== known.revision + 1n) {
      return { kind: 'hole', taskId: job.taskId, known: known.revision, told: job.revision };
    }
    this.#snapshot?.set(job.taskId, job);
    if (job.done && !this.#known.get(job.taskId)?.done) this.#finished += 1;
    this.#known.set(job.taskId, job);
    return { kind: 'changed', job };
  }

  #read(message: WatchJobsResponse, whole: boolean): Effect {
    if (whole) this.#samples.clear();
    for (const { taskId, sample } of message.samples) if (sample) this.#samples.set(taskId, sample);
    if (!whole && message.samples.length === 0) return { kind: 'nothing' };
    const told = message.samples.flatMap(({ taskId, sample }) => (sample ? [[taskId, sample] as const] : []));
    return { kind: 'samples', samples: Object.fromEntries(told), whole };
  }

  #forget(taskIds: string[]): Effect {
    for (const taskId of taskIds) {
      if (this.#known.get(taskId)?.done) this.#finished -= 1;
      this.#known.delete(taskId);
      this.#samples.delete(taskId);
    }
    // Also one that is not known here: somebody may have asked for older ones.
    return taskIds.length === 0 ? { kind: 'nothing' } : { kind: 'removed', taskIds };
  }

  /** Lets the oldest finished jobs go when there are too many. */
  trim(): Effect {
    if (this.#finished <= FINISHED_MAX + FINISHED_SURPLUS) return { kind: 'nothing' };
    const finished = [...this.#known.values()].filter((job) => job.done);
    // A task_id begins with its time, so its order is the order of creation.
    finished.sort((a, b) => (a.taskId < b.taskId ? -1 : 1)).splice(finished.length - FINISHED_MAX);
    const last = millis(finished.at(-1)?.createdAt);
    // The next one may have been accepted within the same millisecond, and is asked for once more then.
    if (last !== undefined) this.completeSinceMs = Math.max(this.completeSinceMs, last + 1);
    return this.#forget(finished.map((job) => job.taskId));
  }
}
