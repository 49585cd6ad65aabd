// What the tab shows, as signals: a change of one job touches one row.

import { batch, computed, type Signal, signal } from '@preact/signals';

import type { GetRunnerResponse, Job, Sample } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { ToTab } from './protocol.ts';
import type { Connection } from './stream.ts';

/** One job and its latest reading. */
export interface Row {
  job: Signal<Job>;
  sample: Signal<Sample | undefined>;
}

export class Store {
  readonly connection = signal<Connection>({ state: 'connecting' });
  readonly runner = signal<GetRunnerResponse | undefined>(undefined);
  /** The task_ids, newest first. Undefined until it is known which there are. */
  readonly order = signal<string[] | undefined>(undefined);
  readonly #rows = signal(new Map<string, Row>());
  /** How many are not finished. */
  readonly liveCount = signal(0);
  /** Something that grows with time is on the screen. */
  readonly ticking = computed(() => this.liveCount.value > 0 || !['live', 'token needed'].includes(this.connection.value.state));

  row(taskId: string): Row | undefined {
    return this.#rows.value.get(taskId);
  }

  apply(message: ToTab): void {
    batch(() => this.#apply(message));
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
        return this.#replace(message.jobs, message.samples);
      case 'changed':
        this.#put(message.job);
        return this.#arrange();
      case 'removed':
        for (const taskId of message.taskIds) this.#rows.peek().delete(taskId);
        return this.#arrange();
      case 'samples':
        for (const [taskId, row] of this.#rows.peek()) {
          const sample = message.samples[taskId];
          if (sample || message.whole) row.sample.value = sample;
        }
    }
  }

  #replace(jobs: Job[], samples: Record<string, Sample>): void {
    const rows = this.#rows.peek();
    const told = new Set(jobs.map((job) => job.taskId));
    for (const taskId of rows.keys()) if (!told.has(taskId)) rows.delete(taskId);
    for (const job of jobs) this.#put(job).sample.value = samples[job.taskId];
    this.#arrange();
  }

  #put(job: Job): Row {
    const rows = this.#rows.peek();
    const known = rows.get(job.taskId);
    if (known) {
      // The same revision is the same job: nothing to draw.
      if (known.job.peek().revision !== job.revision) known.job.value = job;
      return known;
    }
    const row = { job: signal(job), sample: signal<Sample | undefined>(undefined) };
    rows.set(job.taskId, row);
    return row;
  }

  #arrange(): void {
    const rows = this.#rows.peek();
    let live = 0;
    for (const row of rows.values()) if (!row.job.peek().done) live += 1;
    this.liveCount.value = live;
    // A task_id begins with the time of its creation.
    const order = [...rows.keys()].sort().reverse();
    const shown = this.order.peek();
    if (!shown || shown.length !== order.length || order.some((taskId, at) => taskId !== shown[at])) this.order.value = order;
  }
}
