// Knows what the runner is, one for all tabs: asks at each connection until it is answered, and anew when that may be
// outdated. No stream tells of it.

import type { GetRunnerResponse } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import { retryDelay } from './stream.ts';

/** What stands in the way of tasks comes and goes with people's work on it: sooner than this nobody misses it. */
export const ASK_AGAIN_MS = 30_000;

export class Acquaintance {
  #known: GetRunnerResponse | undefined;
  /** There is a connection. */
  #isConnected = false;
  /** Somebody looks. */
  #isSeen = false;
  /** A job has changed since it was last asked. */
  #isChanged = false;
  #failures = 0;
  /** When it was last asked, or failed to answer: waits count from there. */
  #waitsSince = 0;
  /** The question that is under way; an answer to another one comes too late. */
  #asking: object | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly ask: () => Promise<GetRunnerResponse>, private readonly tell: (runner: GetRunnerResponse) => void) {}

  get known(): GetRunnerResponse | undefined {
    return this.#known;
  }

  /** There is a connection again: after a restart it may be another version, and under another token another scope. */
  connect(): void {
    this.disconnect();
    this.#isConnected = true;
    void this.#ask();
  }

  disconnect(): void {
    this.#isConnected = false;
    this.#failures = 0;
    this.#asking = undefined;
    clearTimeout(this.#timer);
  }

  /** A job has changed. */
  change(): void {
    if (this.#isChanged) return;
    this.#isChanged = true;
    this.#arrange();
  }

  /** Somebody looks, or nobody does any more. */
  see(isSeen: boolean): void {
    if (this.#isSeen === isSeen) return;
    this.#isSeen = isSeen;
    this.#arrange();
  }

  async #ask(): Promise<void> {
    const asking = this.#asking = {};
    this.#isChanged = false;
    this.#waitsSince = Date.now();
    const runner = await this.ask().catch(() => undefined);
    if (this.#asking !== asking) return;
    this.#asking = undefined;
    this.#failures = runner ? 0 : this.#failures + 1;
    if (!runner) {
      this.#waitsSince = Date.now();
    } else {
      this.#known = runner;
      this.tell(runner);
    }
    this.#arrange();
  }

  #arrange(): void {
    clearTimeout(this.#timer);
    const wait = this.#asking || !this.#isConnected ? undefined : this.#wait();
    if (wait !== undefined) this.#timer = setTimeout(() => void this.#ask(), Math.max(0, this.#waitsSince + wait - Date.now()));
  }

  /** How long to wait until it is asked again, if it is. */
  #wait(): number | undefined {
    // Without an answer nobody knows what this session may do.
    if (this.#failures > 0) return retryDelay(this.#failures - 1, Math.random());
    const mayDiffer = this.#isChanged || (this.#known?.problems.length ?? 0) > 0;
    return this.#isSeen && mayDiffer ? ASK_AGAIN_MS : undefined;
  }
}
