// What a job's own page knows of its job: how it stands, what was asked, its whole history, readings and log.

import { batch, effect, signal } from '@preact/signals';

import type { App } from '../app.ts';
import type { ExecuteRequest, Job, LogEntry, Sample } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { WatchJobRequest_Until as Until } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { Problem } from '../problem.ts';
import type { ToTab } from '../protocol.ts';
import { scoped } from '../stream.ts';
import type { LogStanding } from './follow.ts';
import { History } from './history.ts';
import { Log, type LogPart } from './log.ts';
import { outcomeOf } from './outcome.ts';
import { type Reading, withReading } from './readings.ts';

/** How long a call may take that only reads. */
const READ_TIMEOUT_MS = 15_000;

/** What there is to show. */
export type Standing =
  | { kind: 'loading' }
  | { kind: 'here' }
  /** The service has no such job: it never had, or it has forgotten it. */
  | { kind: 'unknown' }
  | { kind: 'failed'; why: string };

export class TaskView {
  readonly standing = signal<Standing>({ kind: 'loading' });
  readonly job = signal<Job | undefined>(undefined);
  readonly sample = signal<Sample | undefined>(undefined);
  /** What was asked. */
  readonly request = signal<ExecuteRequest | undefined>(undefined);
  /** Why what was asked is not known, or why the job could not be read anew. */
  readonly problem = signal('');
  readonly changes = signal<readonly Job[]>([]);
  /** Why the history is not whole. */
  readonly historyProblem = signal('');
  readonly readings = signal<readonly Reading[]>([]);
  readonly log = signal<readonly LogEntry[]>([]);
  readonly logReset = signal(false);
  readonly logStanding = signal<LogStanding>({ state: 'opening' });
  readonly #history = new History();
  #log = new Log();
  #catchingUp = false;
  /** A frame was asked for in which the log is drawn. */
  #frame: number | undefined;
  readonly #left = new AbortController();

  constructor(private readonly app: App, readonly taskId: string) {
    // What the list knows is drawn at once: what takes the place of another heading would lose the focus.
    const row = app.store.row(taskId);
    if (!row) return;
    this.standing.value = { kind: 'here' };
    this.job.value = row.job.peek();
    this.sample.value = row.sample.peek();
  }

  /** Begins to hear, until the function that it gives is called. */
  open(): () => void {
    const row = this.app.store.row(this.taskId);
    if (row) {
      this.#stand(row.job.peek());
      this.#read(row.sample.peek());
    }
    const unheard = this.app.listen((message) => this.#hear(message));
    // Each time that there is a connection again: also over what happened while there was none.
    const undone = effect(() => {
      if (this.app.store.connection.value.state === 'live') queueMicrotask(() => void this.#load());
    });
    const showLog = () => this.#showLog();
    document.addEventListener('visibilitychange', showLog);
    showLog();
    return () => {
      this.#left.abort();
      unheard();
      undone();
      document.removeEventListener('visibilitychange', showLog);
      if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
      this.app.say({ kind: 'log', taskId: undefined, watched: false });
    };
  }

  /** Raised when nobody looks any more. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  /** Reads the job anew. */
  load(): Promise<void> {
    return this.#load();
  }

  readLogAgain(): void {
    this.app.say({ kind: 'log again', taskId: this.taskId });
  }

  #showLog(): void {
    this.app.say({ kind: 'log', taskId: this.taskId, watched: document.visibilityState === 'visible' });
  }

  #hear(message: ToTab): void {
    switch (message.kind) {
      case 'welcome':
        // Another holder than before knows nothing of what this tab shows.
        return this.#showLog();
      case 'all': {
        const job = message.jobs.find(({ taskId }) => taskId === this.taskId);
        if (job) this.#stand(job);
        return this.#read(message.samples[this.taskId]);
      }
      case 'changed':
        return message.job.taskId === this.taskId ? this.#stand(message.job) : undefined;
      case 'removed':
        // Forgotten by the service, or only too old for the list.
        if (message.taskIds.includes(this.taskId)) void this.#load();
        return;
      case 'samples': {
        const sample = message.samples[this.taskId];
        if (sample || message.whole) this.#read(sample);
        return;
      }
      case 'log':
        return message.taskId === this.taskId ? this.#hearLog(message) : undefined;
      case 'connection':
      case 'runner':
      case 'fault':
        return;
    }
  }

  async #load(): Promise<void> {
    const signal = this.#left.signal;
    if (signal.aborted) return;
    const { answer, problem } = await outcomeOf(() => this.app.calls.getStatus({ taskId: this.taskId }, { signal, timeoutMs: READ_TIMEOUT_MS }));
    if (signal.aborted) return;
    if (problem) return this.#lack(problem);
    batch(() => {
      this.problem.value = '';
      this.request.value = answer.request;
      // An answer that was on its way for long tells nothing of a job that has changed since.
      const isLate = (answer.job?.revision ?? 0n) < (this.job.peek()?.revision ?? 0n);
      if (answer.sample && !isLate) this.#read(answer.sample);
      if (answer.job) this.#stand(answer.job);
    });
  }

  #lack(problem: Problem): void {
    if (problem.reason === 'TASK_NOT_FOUND' || problem.reason === 'TASK_ID_INVALID') this.standing.value = { kind: 'unknown' };
    else if (!this.job.peek()) this.standing.value = { kind: 'failed', why: problem.words };
    // What is shown stays.
    else this.problem.value = problem.words;
  }

  #stand(job: Job): void {
    batch(() => {
      const known = this.job.peek();
      this.standing.value = { kind: 'here' };
      if (!known || job.revision > known.revision) this.job.value = job;
      if (job.done && !job.isProcessAlive) this.sample.value = undefined;
      if (this.#history.offer(job) === 'added') this.changes.value = this.#history.changes;
    });
    void this.#catchUp();
  }

  /** Reads the changes that are missing before the one that is known. The stream is left as soon as it got there. */
  async #catchUp(): Promise<void> {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    try {
      for (let wanted = this.#wanted(); wanted !== undefined; wanted = this.#wanted()) {
        const until = wanted;
        const { problem } = await outcomeOf(() => this.#readChanges(until));
        if (this.#left.signal.aborted) return;
        if (problem) {
          this.historyProblem.value = problem.words;
          return;
        }
        this.historyProblem.value = '';
        // The stream came to its own end first. What came later is known only as it stands now.
        const job = this.job.peek();
        if (this.#wanted() !== undefined && job) this.#history.settle(job);
        this.changes.value = this.#history.changes;
      }
    } finally {
      this.#catchingUp = false;
    }
  }

  #wanted(): bigint | undefined {
    const revision = this.job.peek()?.revision ?? 0n;
    return revision > this.#history.told ? revision : undefined;
  }

  async #readChanges(wanted: bigint): Promise<void> {
    const request = { taskId: this.taskId, fromStart: true, resumeToken: this.#history.resumeToken, until: Until.PROCESS_EXITED };
    for await (const message of scoped((signal) => this.app.calls.watchJob(request, { signal, timeoutMs: READ_TIMEOUT_MS }), this.#left.signal)) {
      if (message.job) this.#history.offer(message.job);
      if (message.resumeToken !== '') this.#history.resumeToken = message.resumeToken;
      if (this.#history.told >= wanted) return;
    }
  }

  #read(sample: Sample | undefined): void {
    batch(() => {
      this.sample.value = sample;
      if (sample?.processInfo) this.readings.value = withReading(this.readings.peek(), sample.processInfo);
    });
  }

  #hearLog({ part, standing }: { part?: LogPart; standing?: LogStanding }): void {
    if (standing) this.logStanding.value = standing;
    if (!part) return;
    this.#log.apply(part);
    // A browser that talks without end is drawn once a frame, not once a line.
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.log.value = this.#log.entries;
      this.logReset.value = this.#log.reset;
    });
  }
}
