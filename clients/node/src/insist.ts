// Makes one call until it goes through, for as long as patience lasts.

import { ConnectError } from '@connectrpc/connect';

import { errorOf, TaskRunnerError } from './error.js';
import type { CallOptions, Calls, Link } from './link.js';
import { Patience } from './patience.js';
import { Scope } from './scope.js';

/** How a caller bounds a call. */
export interface Bounds {
  /** Ends the call, or the stream. Never the task: that is `cancel`. */
  signal?: AbortSignal | undefined;
  /** How long the service may be away before this gives up. Default: two minutes. 0: it may not. Infinity: no limit. */
  retryForMs?: number | undefined;
}

/** Longest wait for an answer that takes no browser to start: a picture takes three seconds at most. */
export const ANSWER_WITHIN_MS = 15_000;

/** One unary call. */
export interface Unary<T> {
  call(calls: Calls, options: CallOptions): Promise<T>;
  /** How long one try may take. */
  withinMs?: number;
  /** Whether it does no harm, and answers the same, when it comes twice. */
  repeatable?: boolean;
}

export async function insist<T>(link: Link, unary: Unary<T>, { signal, retryForMs }: Bounds = {}): Promise<T> {
  const scope = new Scope(signal, link.closed);
  const patience = new Patience(retryForMs);
  try {
    for (;;) {
      try {
        return await attempt(link, unary, scope.signal);
      } catch (thrown) {
        const error = failureOf(thrown, scope.signal, link);
        // Only what the service itself sent back is known not to have been done.
        if (unary.repeatable === false && error.reason === undefined) throw error;
        link.doubt();
        await patience.failed(error, scope.signal);
      }
    }
  } finally {
    scope.leave();
  }
}

async function attempt<T>(link: Link, { call, withinMs = ANSWER_WITHIN_MS }: Unary<T>, outer: AbortSignal): Promise<T> {
  const connection = await link.take();
  const scope = new Scope(outer);
  const late = new TaskRunnerError('UNAVAILABLE', `what listens at ${link.server} did not answer within ${withinMs} ms`);
  const timer = setTimeout(() => scope.cut(late), withinMs);
  try {
    return await call(connection.calls, { signal: scope.signal });
  } catch (error) {
    if (scope.signal.reason !== late) throw error;
    link.retire(connection);
    throw late;
  } finally {
    clearTimeout(timer);
    link.release(connection);
    scope.leave();
  }
}

/** What a try failed of. Throws what no further try can mend: the caller's own wish, or a fault of a program. */
export function failureOf(thrown: unknown, signal: AbortSignal, link: Link): TaskRunnerError {
  if (signal.aborted) throw signal.reason;
  if (thrown instanceof TaskRunnerError) return thrown;
  if (thrown instanceof ConnectError) return errorOf(thrown, link.server);
  throw thrown;
}
