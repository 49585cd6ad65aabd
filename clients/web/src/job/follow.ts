// Follows one log over cuts, and says truthfully whether it is live.

import type { ReadLogResponse } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { problemOf } from '../problem.ts';
import { retryDelay, scoped, SILENCE_MAX_MS } from '../stream.ts';
import { Log, type LogPart } from './log.ts';

/** How a log's stream stands. */
export type LogStanding =
  /** Asked for, and not answered yet. */
  | { state: 'opening' }
  | { state: 'live' }
  /** Nothing more will be said. */
  | { state: 'ended' }
  /** Read once, and not followed: there is no connection to spare. Without a time it is being read. */
  | { state: 'read'; at?: number }
  | { state: 'reconnecting'; why: string }
  | { state: 'failed'; why: string };

/** What following a log needs of the world. */
export interface LogWorld {
  /** Calls `answered` when the service has taken the call. */
  open(afterNumber: bigint, follow: boolean, signal: AbortSignal, answered: () => void): AsyncIterable<ReadLogResponse>;
  tell(part: LogPart): void;
  say(standing: LogStanding): void;
}

type End = { kind: 'over' } | { kind: 'left' } | { kind: 'cut'; why: string; delayMs: number | undefined } | { kind: 'failed'; why: string };

export class LogFollow {
  readonly log = new Log();
  standing: LogStanding = { state: 'opening' };
  #scope: AbortController | undefined;
  #follows = false;
  #wake: (() => void) | undefined;

  constructor(private readonly world: LogWorld) {}

  /** A stream is open, or wanted: it holds a connection, or will. */
  get running(): boolean {
    return this.#scope !== undefined;
  }

  /** It is followed, however its stream stands: not only read once. */
  get following(): boolean {
    return this.running && this.#follows;
  }

  /** Goes on behind what was told: until the log ends, or once over what is there. Does nothing while it runs. */
  start(follow: boolean): void {
    if (this.#scope) return;
    const scope = new AbortController();
    this.#scope = scope;
    this.#follows = follow;
    void this.#run(scope, follow);
  }

  /** Leaves the stream. What was told is kept. */
  stop(): void {
    if (!this.#scope) return;
    this.#scope.abort();
    this.#scope = undefined;
    this.#say({ state: 'opening' });
    this.#wake?.();
  }

  /** Tries again at once instead of at the end of the wait. */
  wake(): void {
    this.#wake?.();
  }

  async #run(scope: AbortController, follow: boolean): Promise<void> {
    this.#say(follow ? { state: 'opening' } : { state: 'read' });
    for (let failures = 0; ; failures += 1) {
      const number = this.log.lastNumber;
      const end = await this.#stream(scope.signal, follow);
      if (scope.signal.aborted || end.kind === 'left') return;
      if (end.kind !== 'cut') {
        this.#scope = undefined;
        return this.#say(this.#ended(end, follow));
      }
      if (this.log.lastNumber > number) failures = 0;
      this.#say({ state: 'reconnecting', why: end.why });
      await this.#wait(end.delayMs ?? retryDelay(failures, Math.random()));
      if (scope.signal.aborted) return;
    }
  }

  #ended(end: End & { kind: 'over' | 'failed' }, follow: boolean): LogStanding {
    if (end.kind === 'failed') return { state: 'failed', why: end.why };
    return follow ? { state: 'ended' } : { state: 'read', at: Date.now() };
  }

  async #stream(outer: AbortSignal, follow: boolean): Promise<End> {
    const scope = new AbortController();
    const leave = () => scope.abort();
    outer.addEventListener('abort', leave, { once: true });
    let silence: ReturnType<typeof setTimeout> | undefined;
    let silent = false;
    const hear = () => {
      clearTimeout(silence);
      silence = setTimeout(() => { silent = true; scope.abort(); }, SILENCE_MAX_MS);
      if (follow && this.standing.state !== 'live') this.#say({ state: 'live' });
    };
    try {
      for await (const message of scoped((signal) => this.world.open(this.log.lastNumber, follow, signal, hear), scope.signal)) {
        hear();
        const part = this.log.read(message);
        if (part.entries.length > 0 || part.anew) this.world.tell(part);
      }
      return { kind: 'over' };
    } catch (error) {
      if (outer.aborted) return { kind: 'left' };
      if (silent) return { kind: 'cut', why: 'The service has been silent for too long.', delayMs: undefined };
      const problem = problemOf(error);
      return problem.code === 'refused' ? { kind: 'failed', why: problem.words } : { kind: 'cut', why: problem.words, delayMs: problem.retryDelayMs };
    } finally {
      clearTimeout(silence);
      outer.removeEventListener('abort', leave);
    }
  }

  #say(standing: LogStanding): void {
    this.standing = standing;
    this.world.say(standing);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
