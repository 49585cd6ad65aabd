// A stream of the service that is opened anew after each cut and each silence, for as long as patience lasts.

import type { Duration } from '@bufbuild/protobuf/wkt';

import { TaskRunnerError } from './error.js';
import { type Bounds, failureOf } from './insist.js';
import type { CallOptions, Calls, Link } from './link.js';
import { Patience } from './patience.js';
import { durationMs } from './plain.js';
import { Scope } from './scope.js';

/** One stream, and how its messages are read. */
export interface Source<Message, Told> {
  /** Opens it where the reader stands. */
  open(calls: Calls, options: CallOptions): AsyncIterable<Message>;
  /** Keeps what a message says, and gives what is to be told of it. */
  take(message: Message): Told | undefined;
  /** What a message means for the stream. Unset: it goes on. */
  turn?(message: Message): Turn | undefined;
  /** Whether its OK is its end. False: only a final message is, and an OK before is a cut. */
  endsByItself: boolean;
  /** Longer than any silence of a living stream. */
  silenceMaxMs: number;
}

export type Turn =
  /** That was the last message. */
  | { kind: 'final' }
  /** The service leaves, and is back after so long. */
  | { kind: 'draining'; delayMs: number };

/** The service's own longest silence, unless it is asked for another. */
const HEARTBEAT_MS = 15_000;

/** Longer than any silence of a living stream with such a heartbeat, which may be late by as much again. */
export function silenceMax(heartbeat?: Duration): number {
  return 2 * (heartbeat ? durationMs(heartbeat) : HEARTBEAT_MS);
}

/** What a stream tells, over cuts and restarts, until its end. Leaving the loop over it ends the call. */
export async function* reopened<Message, Told>(
  link: Link,
  source: Source<Message, Told>,
  { signal, retryForMs }: Bounds,
): AsyncGenerator<Told, void, undefined> {
  const scope = new Scope(signal, link.closed);
  const patience = new Patience(retryForMs);
  try {
    for (;;) {
      try {
        for await (const message of once(link, source, scope.signal)) {
          patience.heard();
          const told = source.take(message);
          if (told !== undefined) yield told;
          const turn = source.turn?.(message);
          if (turn?.kind === 'final') return;
          if (turn?.kind === 'draining') {
            patience.toldToWait(turn.delayMs);
            throw new TaskRunnerError('UNAVAILABLE', 'the service is leaving', { reason: 'DRAINING' });
          }
        }
        if (source.endsByItself) return;
        throw new TaskRunnerError('UNAVAILABLE', 'the service ended the stream before its end');
      } catch (thrown) {
        const error = failureOf(thrown, scope.signal, link);
        link.doubt();
        await patience.failed(error, scope.signal);
      }
    }
  } finally {
    scope.leave();
  }
}

/** One stream from its beginning to its end. */
async function* once<Message>(link: Link, source: Source<Message, unknown>, outer: AbortSignal): AsyncGenerator<Message> {
  const connection = await link.take();
  const scope = new Scope(outer);
  const silent = new TaskRunnerError('UNAVAILABLE', `what listens at ${link.server} has been silent for ${source.silenceMaxMs} ms`);
  const messages = source.open(connection.calls, { signal: scope.signal })[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Only while somebody waits for it: a slow reader is not the service's silence.
      const timer = setTimeout(() => scope.cut(silent), source.silenceMaxMs);
      const next = await messages.next().finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    if (scope.signal.reason !== silent) throw error;
    link.retire(connection);
    throw silent;
  } finally {
    scope.leave();
    link.release(connection);
  }
}
