// How long and how often a call is tried again while the service is away.

import { setTimeout as delay } from 'node:timers/promises';

import { passes, type TaskRunnerError } from './error.js';

/** How long the service may be away before a call gives up, as on the command line: more than a restart takes. */
export const RETRY_FOR_MS = 120_000;
/** First wait before another try: shorter than a person notices. */
export const RETRY_FIRST_MS = 100;
/** Longest wait between tries: a service that is back is found within seconds. */
export const RETRY_LONGEST_MS = 5_000;

/** The wait before the try after `failures` failed ones: doubled each time, capped, and spread so that callers that were
 * cut together do not come back together. `chance` is from 0 to 1. */
export function retryDelayMs(failures: number, chance: number): number {
  // 2^16 is far past the cap already, and no power of it overflows.
  const longest = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** Math.min(failures, 16));
  return longest * (0.5 + chance / 2);
}

/** Waits that double, until there have been enough of them. */
export class Patience {
  #failures = 0;
  #failingSince: number | undefined;
  #toldMs = 0;
  #everHeard = false;

  constructor(private readonly retryForMs: number = RETRY_FOR_MS) {}

  /** The service was heard: what failed before is forgotten. */
  heard(): void {
    this.#failures = 0;
    this.#failingSince = undefined;
    this.#everHeard = true;
  }

  /** The service said how long it will be away. */
  toldToWait(ms: number): void {
    this.#toldMs = ms;
  }

  /** The wait before another try. Throws the error when it will not pass, or has been there for too long. */
  nextWaitMs(error: TaskRunnerError, nowMs: number, chance: number): number {
    // What was let in before is not turned away for good because the house is full when it comes back.
    const crowded = this.#everHeard && error.code === 'RESOURCE_EXHAUSTED' && error.retryDelayMs !== undefined;
    if (!passes(error) && !crowded) throw error;
    this.#failingSince ??= nowMs;
    if (nowMs - this.#failingSince >= this.retryForMs) throw error;
    // After an announced delay all would come at once, but for the spread.
    const waitMs = Math.max(this.#toldMs, error.retryDelayMs ?? 0) + retryDelayMs(this.#failures, chance);
    this.#failures += 1;
    this.#toldMs = 0;
    return waitMs;
  }

  /** Waits for another try to be due; throws as `nextWaitMs` does, or when `signal` falls. */
  async failed(error: TaskRunnerError, signal: AbortSignal): Promise<void> {
    const waitMs = this.nextWaitMs(error, performance.now(), Math.random());
    try {
      await delay(waitMs, undefined, { signal });
    } catch (interrupted) {
      throw signal.aborted ? signal.reason : interrupted;
    }
  }
}
