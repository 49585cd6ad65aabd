// What the tab knows, as signals: a change of one job touches one row, and what arrives within a frame is drawn once.

import { batch, computed, type Signal, signal } from '@preact/signals';

import { oncePerFrame } from './frame.ts';
import { GetRunnerResponse_Scope as Scope, type GetRunnerResponse, type Job, Job_Status as Status, type Sample } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import { type Asked, askedIn } from './list/asked.ts';
import { View } from './list/view.ts';
import type { ToTab } from './protocol.ts';
import type { Connection } from './stream.ts';

/** One job and its latest reading. */
export interface Row {
  job: Signal<Job>;
  sample: Signal<Sample | undefined>;
  /** How many revisions of it came, the first one counted as its number: behind its revision when one was missed. */
  told: bigint;
}

export class Store {
  readonly connection = signal<Connection>({ state: 'connecting' });
  readonly runner = signal<GetRunnerResponse | undefined>(undefined);
  /** What the list shows. Read `arranged` to be told when it is another. */
  readonly view = new View(askedIn(''));
  /** Grows with each time that the list stands otherwise. 0: it is not known yet what there is. */
  readonly arranged = signal(0);
  /** Grows with each frame in which a job changed. */
  readonly changes = signal(0);
  /** How many jobs there are at each status. */
  readonly counts = signal<ReadonlyMap<Status, number>>(new Map());
  /** How many are not finished. */
  readonly liveCount = signal(0);
  /** Something that grows with time is on the screen. */
  readonly ticking = computed(() => this.liveCount.value > 0 || !['live', 'token needed'].includes(this.connection.value.state));
  /** This session may open and end tasks. Not until the service has said so; each scope has what is before it. */
  readonly mayOperate = computed(() => (this.runner.value?.scope ?? Scope.SCOPE_UNSPECIFIED) >= Scope.OPERATE);
  /** Every job that was accepted then or later is here. */
  completeSinceMs = Infinity;
  /** Hears of jobs that came to their end within a frame. */
  onEnded: (jobs: Job[]) => void = () => {};
  /** Hears that all is told anew. */
  onReplaced: () => void = () => {};
  /** Hears that the oldest ones were let go, since there were too many. */
  onLetGo: () => void = () => {};

  readonly #rows = new Map<string, Row>();
  /** Those with a reading. */
  readonly #read = new Set<Row>();
  readonly #counts = new Map<Status, number>();
  #live = 0;
  #pending: ToTab[] = [];
  /** The list stands otherwise, since the last frame. */
  #isMoved = false;
  /** Some job changed, came or went. */
  #isChanged = false;
  #ended: Job[] = [];
  readonly #ask = oncePerFrame(() => this.flush());

  row(taskId: string): Row | undefined {
    return this.#rows.get(taskId);
  }

  get size(): number {
    return this.#rows.size;
  }

  rows(): Iterable<Row> {
    return this.#rows.values();
  }

  /** What came is shown with the next frame. */
  apply(message: ToTab): void {
    this.#pending.push(message);
    this.#ask();
  }

  /** Shows at once what came. */
  flush(): void {
    const messages = this.#pending;
    this.#pending = [];
    batch(() => {
      for (const message of messages) this.#apply(message);
      this.#publish();
    });
    if (this.#ended.length === 0) return;
    const ended = this.#ended.splice(0);
    // By itself: what goes wrong there must not keep this message from whoever else hears it.
    queueMicrotask(() => this.onEnded(ended));
  }

  /** The list is to show something else. */
  ask(asked: Asked): void {
    batch(() => {
      this.view.ask(asked, this.#rows.values());
      if (this.arranged.peek() > 0) this.arranged.value += 1;
    });
  }

  /** Jobs that the stream does not tell of, since they ended long ago. Says how many are new. */
  addOlder(jobs: Job[]): number {
    const before = this.#rows.size;
    batch(() => {
      for (const job of jobs) if (!this.#rows.has(job.taskId)) this.#put(job);
      this.#publish();
    });
    return this.#rows.size - before;
  }

  #apply(message: ToTab): void {
    switch (message.kind) {
      case 'welcome':
      case 'fault':
      // A job's own page keeps its log.
      case 'log':
        return;
      case 'connection':
        this.connection.value = message.connection;
        return;
      case 'runner':
        this.runner.value = message.runner;
        return;
      case 'all':
        this.completeSinceMs = message.completeSinceMs;
        return this.#replace(message.jobs, message.samples);
      case 'changed':
        return void this.#put(message.job);
      case 'removed': {
        const isLetGo = message.completeSinceMs > this.completeSinceMs;
        this.completeSinceMs = message.completeSinceMs;
        for (const taskId of message.taskIds) this.#forget(taskId);
        if (isLetGo) this.onLetGo();
        return;
      }
      case 'samples':
        return this.#sample(message.samples, message.whole);
    }
  }

  #sample(samples: Record<string, Sample>, whole: boolean): void {
    if (whole) for (const row of this.#read) if (!samples[row.job.peek().taskId]) this.#give(row, undefined);
    for (const [taskId, sample] of Object.entries(samples)) {
      const row = this.#rows.get(taskId);
      if (row) this.#give(row, sample);
    }
  }

  #give(row: Row, sample: Sample | undefined): void {
    row.sample.value = sample;
    if (sample) this.#read.add(row);
    else this.#read.delete(row);
    // A page's title is among what a text is looked for in.
    if (this.view.asked.text !== '' && this.view.put(row)) this.#isMoved = true;
  }

  #replace(jobs: Job[], samples: Record<string, Sample>): void {
    const told = new Set(jobs.map((job) => job.taskId));
    for (const taskId of this.#rows.keys()) if (!told.has(taskId)) this.#forget(taskId);
    const wasEmpty = this.#rows.size === 0;
    for (const job of jobs) this.#put(job, !wasEmpty);
    // All at once costs one sorting; one by one, each would move what is behind it.
    if (wasEmpty) this.view.ask(this.view.asked, this.#rows.values());
    this.#sample(samples, true);
    this.#isMoved = true;
    this.onReplaced();
  }

  #put(job: Job, place = true): void {
    const known = this.#rows.get(job.taskId);
    const before = known?.job.peek();
    // The same revision is the same job: nothing to draw.
    if (before?.revision === job.revision) return;
    const row = known ?? { job: signal(job), sample: signal<Sample | undefined>(undefined), told: job.revision - 1n };
    row.told += 1n;
    if (known) known.job.value = job;
    else this.#rows.set(job.taskId, row);
    if (before) this.#count(before, -1);
    this.#count(job, 1);
    if (before && !before.done && job.done) this.#ended.push(job);
    if (place && this.view.put(row)) this.#isMoved = true;
  }

  #forget(taskId: string): void {
    const row = this.#rows.get(taskId);
    if (!row) return;
    this.#rows.delete(taskId);
    this.#read.delete(row);
    this.#count(row.job.peek(), -1);
    if (this.view.remove(taskId)) this.#isMoved = true;
  }

  #count(job: Job, by: number): void {
    this.#counts.set(job.status, (this.#counts.get(job.status) ?? 0) + by);
    if (!job.done) this.#live += by;
    this.#isChanged = true;
  }

  #publish(): void {
    if (this.#isMoved) this.arranged.value += 1;
    if (this.#isChanged) {
      this.counts.value = new Map(this.#counts);
      this.liveCount.value = this.#live;
      this.changes.value += 1;
    }
    this.#isMoved = this.#isChanged = false;
  }
}
