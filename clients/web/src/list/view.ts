// The tasks that the list shows, in its order. A change finds its place by halving: about 12 comparisons among 5,000.

import type { Asked } from './asked.ts';
import { matches } from './asked.ts';
import type { Row } from '../store.ts';
import { type Compare, compareBy, type Key, keyOf } from './sorting.ts';

export class View {
  #asked: Asked;
  #compare: Compare;
  #keys: Key[] = [];
  readonly #placed = new Map<string, Key>();

  constructor(asked: Asked) {
    this.#asked = asked;
    this.#compare = compareBy(asked.sort, asked.reversed);
  }

  get length(): number {
    return this.#keys.length;
  }

  get asked(): Asked {
    return this.#asked;
  }

  taskIdAt(index: number): string | undefined {
    return this.#keys[index]?.taskId;
  }

  /** Where a task stands, or -1. */
  indexOf(taskId: string): number {
    const key = this.#placed.get(taskId);
    return key ? this.#find(key) : -1;
  }

  /** Something else is asked: looks at every row once. */
  ask(asked: Asked, rows: Iterable<Row>): void {
    this.#asked = asked;
    this.#compare = compareBy(asked.sort, asked.reversed);
    this.#placed.clear();
    const keys: Key[] = [];
    for (const row of rows) {
      const job = row.job.peek();
      if (!matches(asked, job, row.sample.peek())) continue;
      const key = keyOf(asked.sort, job);
      keys.push(key);
      this.#placed.set(job.taskId, key);
    }
    this.#keys = keys.sort(this.#compare);
  }

  /** A row is new or different. Says whether anything stands elsewhere now. */
  put(row: Row): boolean {
    const job = row.job.peek();
    const before = this.#placed.get(job.taskId);
    if (!matches(this.#asked, job, row.sample.peek())) return this.remove(job.taskId);
    const key = keyOf(this.#asked.sort, job);
    if (before && this.#compare(before, key) === 0) return false;
    if (before) this.#keys.splice(this.#find(before), 1);
    this.#keys.splice(this.#find(key), 0, key);
    this.#placed.set(job.taskId, key);
    return true;
  }

  remove(taskId: string): boolean {
    const key = this.#placed.get(taskId);
    if (!key) return false;
    this.#placed.delete(taskId);
    this.#keys.splice(this.#find(key), 1);
    return true;
  }

  /** Where a key stands, or would. */
  #find(key: Key): number {
    let from = 0;
    let to = this.#keys.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#compare(this.#keys[middle] as Key, key) < 0) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
