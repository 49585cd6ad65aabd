// Holds one stream through cuts, silence, sleep and restarts, and says truthfully how it stands.

import { ConnectError } from '@connectrpc/connect';

import type { WatchJobsResponse } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import { WatchJobsResponse_Kind as Kind } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { Jobs, Effect } from './jobs.ts';
import { problemOf, type Problem } from './problem.ts';

/** The longest silence that is asked for. */
export const HEARTBEAT_MS = 15_000;
/** Longer than any silence of a living stream: one heartbeat may be late by as much again. */
export const SILENCE_MAX_MS = 2 * HEARTBEAT_MS;
/** The first wait after a cut: short, since a restart of the service takes less than a second. */
export const RETRY_MIN_MS = 250;
/** The longest wait between two tries: somebody may sit in front of it. */
export const RETRY_MAX_MS = 15_000;
/** A stream that lived for so long was well: the next cut is a new one, not a further one. */
export const SETTLED_MS = 5_000;

/** How the connection stands. Times are milliseconds of the wall clock. */
export type Connection =
  | { state: 'connecting' }
  | { state: 'live' }
  /** Cut. Without `nextTryAt` a try is under way. */
  | { state: 'reconnecting'; since: number; nextTryAt?: number; why: string }
  /** The service said that it leaves. */
  | { state: 'draining'; since: number; nextTryAt?: number }
  /** No token, or one that is no longer good: `refused`. */
  | { state: 'token needed'; refused?: string };

/** Why one stream came to its end. */
export type End =
  | { kind: 'cut'; why: string }
  | { kind: 'draining'; delayMs: number }
  | { kind: 'hole' }
  | { kind: 'stale token' }
  | { kind: 'unauthenticated' };

/** The wait before the try after `failures` failed ones: doubled each time, capped, and spread so that pages that were
 * cut together do not come back together. `chance` is from 0 to 1. */
export function retryDelay(failures: number, chance: number): number {
  const longest = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures, 16));
  return Math.round(longest * (0.5 + chance / 2));
}

/** What a stream's error means for the next one. */
export function endOf(problem: Problem): End {
  if (problem.code === 'unauthenticated') return { kind: 'unauthenticated' };
  if (problem.reason === 'RESUME_TOKEN_INVALID') return { kind: 'stale token' };
  return { kind: 'cut', why: problem.words };
}

/** Runs `open` under a signal that is raised when the loop over it is left, however it is left. A grpc-web stream does
 * not end by itself when its reader stops reading. */
export async function* scoped<T>(open: (signal: AbortSignal) => AsyncIterable<T>, outer?: AbortSignal): AsyncGenerator<T> {
  const scope = new AbortController();
  const leave = () => scope.abort(outer?.reason);
  if (outer?.aborted) leave();
  outer?.addEventListener('abort', leave, { once: true });
  try {
    yield* open(scope.signal);
  } finally {
    outer?.removeEventListener('abort', leave);
    scope.abort();
  }
}

/** What a subscription needs of the world. */
export interface World {
  open(token: string, resumeToken: string, signal: AbortSignal): AsyncIterable<WatchJobsResponse>;
  say(connection: Connection): void;
  tell(effect: Effect): void;
  /** Something happened that must not, and that only a developer can mend. */
  complain(words: string): void;
}

export class Subscription {
  #token: string | undefined;
  #refused: string | undefined;
  #failures = 0;
  #since = 0;
  #lastHeard = 0;
  /** Ends the stream that is open. */
  #cut: ((reason: string) => void) | undefined;
  /** Ends the wait that is under way. */
  #wake: (() => void) | undefined;

  constructor(private readonly jobs: Jobs, private readonly world: World) {}

  /** Runs until `signal`. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => { this.#cut?.('left'); this.#wake?.(); }, { once: true });
    while (!signal.aborted) {
      const token = this.#token;
      if (token === undefined) {
        this.world.say({ state: 'token needed', ...(this.#refused !== undefined && { refused: this.#refused }) });
        await this.#wait(undefined);
        continue;
      }
      const end = await this.#stream(token);
      if (!signal.aborted) await this.#settle(end, token);
    }
  }

  /** A token that a tab happens to have. One that was refused is not tried again. */
  offerToken(token: string): void {
    if (token !== this.#refused) this.useToken(token);
  }

  /** A token that somebody just got or gave, to be shown from now on. */
  useToken(token: string): void {
    if (token === this.#token) return;
    this.#token = token;
    this.#failures = 0;
    // What the other one may see or do says nothing of this one.
    this.#cut?.('another token is shown');
    this.#wake?.();
  }

  /** Somebody was told that this token is no longer good. */
  refuse(token: string): void {
    if (token !== this.#token) return;
    this.#forgetToken(token);
    this.#cut?.('the token is refused');
    this.#wake?.();
  }

  /** Something happened after which a wait may be pointless, or a stream dead without knowing: the machine woke, the
   * network came back, somebody looks. */
  wake(): void {
    this.#wake?.();
    if (this.#cut && Date.now() - this.#lastHeard > SILENCE_MAX_MS) this.#cut(SILENT);
  }

  /** One stream from its beginning to its end. */
  async #stream(token: string): Promise<End> {
    const scope = new AbortController();
    this.#cut = (reason) => scope.abort(new Error(reason));
    // One timer, moved on by each message: silence is an event, not something to look for.
    let silence: ReturnType<typeof setTimeout> | undefined;
    const hear = () => {
      this.#lastHeard = Date.now();
      clearTimeout(silence);
      silence = setTimeout(() => this.#cut?.(SILENT), SILENCE_MAX_MS);
    };
    let liveSince: number | undefined;
    hear();
    this.jobs.begin();
    if (this.#since === 0) this.world.say({ state: 'connecting' });
    try {
      const resumeToken = this.jobs.resumeToken;
      for await (const message of scoped((inner) => this.world.open(token, resumeToken, inner), scope.signal)) {
        hear();
        const effect = this.jobs.apply(message);
        if (effect.kind === 'hole') return this.#hole(effect);
        this.world.tell(effect);
        if (message.kind === Kind.DRAINING) return { kind: 'draining', delayMs: durationMs(message.retryDelay) };
        if (message.kind === Kind.SYNCED) {
          liveSince = Date.now();
          this.#since = 0;
          this.world.say({ state: 'live' });
        }
      }
      return { kind: 'cut', why: 'The service ended the stream.' };
    } catch (error) {
      if (scope.signal.aborted) return { kind: 'cut', why: (scope.signal.reason as Error).message };
      // Whatever else is thrown is this page's own fault, and must not pass for the network's.
      if (!(error instanceof ConnectError)) this.world.complain(`the page failed at a message: ${String(error)}`);
      return endOf(problemOf(error));
    } finally {
      clearTimeout(silence);
      this.#cut = undefined;
      if (liveSince !== undefined && Date.now() - liveSince >= SETTLED_MS) this.#failures = 0;
    }
  }

  #hole(effect: Effect & { kind: 'hole' }): End {
    this.world.complain(`missed a change of ${effect.taskId}: revision ${effect.told} came after ${effect.known}`);
    this.jobs.distrust();
    return { kind: 'hole' };
  }

  /** Does what an end asks for before the next stream. */
  async #settle(end: End, token: string): Promise<void> {
    if (end.kind === 'stale token') this.jobs.distrust();
    // It was refused meanwhile, or another one is to be shown: no trouble of the connection, and nothing to wait for.
    if (token !== this.#token) return;
    this.#since ||= Date.now();
    switch (end.kind) {
      case 'unauthenticated':
        return this.#forgetToken(token);
      case 'stale token':
        return this.#pause('The service does not know where this page stopped.');
      case 'hole':
        return this.#pause('A change was missed.');
      case 'draining':
        return this.#pause('', end.delayMs);
      case 'cut':
        return this.#pause(end.why);
    }
  }

  async #pause(why: string, drainMs?: number): Promise<void> {
    const spread = retryDelay(this.#failures, Math.random());
    // After the announced delay all pages would come at once, but for the spread.
    const delay = drainMs === undefined ? spread : drainMs + spread;
    this.#failures += 1;
    const standing = (nextTryAt?: number): Connection => {
      const next = nextTryAt === undefined ? {} : { nextTryAt };
      if (drainMs !== undefined) return { state: 'draining', since: this.#since, ...next };
      return { state: 'reconnecting', since: this.#since, why, ...next };
    };
    this.world.say(standing(Date.now() + delay));
    await this.#wait(delay);
    if (this.#token !== undefined) this.world.say(standing());
  }

  /** Waits so long, or without end, or until woken. */
  #wait(ms: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #forgetToken(token: string): void {
    this.#token = undefined;
    this.#refused = token;
    this.#since = 0;
    this.#failures = 0;
  }
}

const SILENT = 'The service has been silent for too long.';

function durationMs(duration: { seconds: bigint; nanos: number } | undefined): number {
  return duration ? Number(duration.seconds) * 1000 + Math.round(duration.nanos / 1e6) : 0;
}
