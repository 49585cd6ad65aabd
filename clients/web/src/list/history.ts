// Finished tasks of before what the stream tells: asked for page by page, when somebody wants them.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ReadonlySignal, signal } from '@preact/signals';

import type { Calls } from '../client.ts';
import type { ListJobsRequestSchema } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { problemOf } from '../problem.ts';
import type { Store } from '../store.ts';
import type { Asked } from './asked.ts';

/** What comes at once: a few screens. */
const PAGE_SIZE = 100;
/** Pages that are asked for at one press while they bring nothing new, as when a filter leaves little. */
const PAGES_MAX = 5;
/** Older tasks that a tab holds: as many as it holds of the others. Beyond it, a filter is the way to find one. */
export const OLDER_MAX = 5000;
/** A page takes milliseconds; longer than that, the network is at fault. */
const TIMEOUT_MS = 15_000;

export type Reach =
  | { state: 'more' }
  | { state: 'asking' }
  | { state: 'end' }
  | { state: 'full' }
  | { state: 'failed'; words: string };

export class History {
  readonly #reach = signal<Reach>({ state: 'more' });
  readonly #added = signal('');
  #request: MessageInitShape<typeof ListJobsRequestSchema> | undefined;
  #loaded = 0;
  /** Grows whenever what was asked for is no longer wanted. */
  #turn = 0;

  constructor(private readonly calls: Calls, private readonly store: Store) {
    store.onReplaced = () => this.forget();
    // They are older ones now, newer than those that were asked for.
    store.onLetGo = () => this.begin();
  }

  get reach(): ReadonlySignal<Reach> {
    return this.#reach;
  }

  /** What the last press brought, in words. */
  get added(): ReadonlySignal<string> {
    return this.#added;
  }

  /** Something else is asked of the list, or there are others to ask for. */
  begin(): void {
    this.#turn += 1;
    this.#request = undefined;
    this.#added.value = '';
    this.#reach.value = { state: this.#loaded >= OLDER_MAX ? 'full' : 'more' };
  }

  /** All older ones that were here are gone. */
  forget(): void {
    this.#loaded = 0;
    this.begin();
  }

  async ask(asked: Asked): Promise<void> {
    if (this.#reach.peek().state === 'asking') return;
    this.#reach.value = { state: 'asking' };
    const turn = this.#turn;
    try {
      const next = await this.#pages(asked, turn);
      if (turn === this.#turn) this.#reach.value = { state: next };
    } catch (error) {
      if (turn === this.#turn) this.#reach.value = { state: 'failed', words: problemOf(error).words };
    }
  }

  async #pages(asked: Asked, turn: number): Promise<'more' | 'end' | 'full'> {
    this.#request ??= requestOf(asked, this.store.completeSinceMs);
    for (let pages = 0, added = 0; pages < PAGES_MAX && added === 0; pages += 1) {
      const { jobs, nextPageToken } = await this.calls.listJobs(this.#request, { timeoutMs: TIMEOUT_MS });
      if (turn !== this.#turn) return 'more';
      added = this.store.addOlder(jobs);
      this.#loaded += added;
      this.#request = { ...this.#request, pageToken: nextPageToken };
      this.#added.value = added === 1 ? 'One older task came.' : `${added} older tasks came.`;
      if (nextPageToken === '') return 'end';
    }
    return this.#loaded >= OLDER_MAX ? 'full' : 'more';
  }
}

/** The same as the list shows, as far as the service can tell it apart. */
export function requestOf(asked: Asked, beforeMs: number): MessageInitShape<typeof ListJobsRequestSchema> {
  const before = Number.isFinite(beforeMs) ? { createdBefore: { seconds: BigInt(Math.floor(beforeMs / 1000)), nanos: Math.floor(beforeMs % 1000) * 1_000_000 } } : {};
  return {
    pageSize: PAGE_SIZE,
    filter: { labels: Object.fromEntries(asked.labels), urlContains: asked.text, ...before },
    statuses: [...asked.statuses],
  };
}
