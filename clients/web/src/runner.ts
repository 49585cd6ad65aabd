// Asks anew how busy the runner is, while somebody looks at it and something changes.

import { effect } from '@preact/signals';

import type { Calls } from './client.ts';
import type { Store } from './store.ts';

/** Load is a number for people: more often than this nobody reads it. */
export const ASK_AGAIN_MS = 1000;
/** Longer than this, the network is at fault. */
const TIMEOUT_MS = 15_000;

/** Asks when a job has changed since it was last asked, at most once a second, until the returned function is called. */
export function keepRunnerFresh(calls: Calls, store: Store, askedAt: { changes: number }): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  let isAsking = false;
  let began = 0;
  const ask = async () => {
    timer = undefined;
    isAsking = true;
    askedAt.changes = store.changes.peek();
    began = Date.now();
    try {
      const runner = await calls.getRunner({}, { timeoutMs: TIMEOUT_MS });
      if (!isOver) store.runner.value = runner;
    } catch {
      // What is shown stays; when the connection is cut, the stream says so.
    }
    isAsking = false;
    want();
  };
  const want = () => {
    if (isOver || isAsking || timer !== undefined || askedAt.changes === store.changes.peek()) return;
    timer = setTimeout(() => void ask(), Math.max(0, began + ASK_AGAIN_MS - Date.now()));
  };
  const stop = effect(() => {
    void store.changes.value;
    want();
  });
  return () => {
    isOver = true;
    clearTimeout(timer);
    stop();
  };
}
