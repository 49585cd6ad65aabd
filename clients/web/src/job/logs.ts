// The logs that tabs look at, each followed once however many tabs show it, and few at a time.

import type { Port } from '../protocol.ts';
import { LogFollow, type LogWorld } from './follow.ts';

/** Logs that are followed at once in one browser. It has six connections for all tabs over HTTP/1.1: one is the list's,
 * and three are left for calls. Beyond it a log is read once and says that it is not live, until another one is left. */
export const FOLLOWS_MAX = 2;

/** Opens the stream of one job's log. */
export type OpenLog = (taskId: string, ...call: Parameters<LogWorld['open']>) => ReturnType<LogWorld['open']>;

interface Shown {
  follow: LogFollow;
  /** The tabs that show it, and whether somebody can see them. */
  ports: Map<Port, boolean>;
}

export class Logs {
  readonly #shown = new Map<string, Shown>();

  /** There has been a connection, and so there is a token; none was refused since. */
  #isReady = false;

  constructor(private readonly open: OpenLog) {}

  /** A tab shows this job's log, and no other. `watched` tells whether the tab itself is to be seen. */
  show(port: Port, taskId: string, watched: boolean): void {
    for (const [other, shown] of this.#shown) if (other !== taskId) shown.ports.delete(port);
    const shown = this.#shown.get(taskId) ?? this.#begin(taskId);
    const before = shown.ports.get(port);
    shown.ports.set(port, watched);
    // A tab is told nothing while nobody sees it, so it has missed something.
    if (watched && before !== true) {
      port.postMessage({ kind: 'log', taskId, standing: shown.follow.standing, part: shown.follow.log.whole() });
    }
    this.#arrange();
  }

  /** A tab shows no log any more. */
  leave(port: Port): void {
    for (const shown of this.#shown.values()) shown.ports.delete(port);
    this.#arrange();
  }

  /** Somebody wants it read again, or tried again. */
  again(taskId: string): void {
    const shown = this.#shown.get(taskId);
    if (!shown || !this.#isReady) return;
    shown.follow.wake();
    if (!shown.follow.running) shown.follow.start(this.#live() < FOLLOWS_MAX);
  }

  /** The service is there, or is there again. */
  wake(): void {
    this.#isReady = true;
    this.#arrange();
    for (const { follow } of this.#shown.values()) follow.wake();
  }

  /** There is no token that the service takes: asking with the old one would only be refused again. */
  halt(): void {
    this.#isReady = false;
    for (const { follow } of this.#shown.values()) follow.stop();
  }

  #begin(taskId: string): Shown {
    const ports = new Map<Port, boolean>();
    const post = (message: Parameters<Port['postMessage']>[0]) => {
      for (const [port, watched] of ports) if (watched) port.postMessage(message);
    };
    const follow = new LogFollow({
      open: (...call) => this.open(taskId, ...call),
      tell: (part) => post({ kind: 'log', taskId, part }),
      say: (standing) => {
        post({ kind: 'log', taskId, standing });
        // One that is over leaves its place to one that waits; one that was read once may be what waits.
        if (['ended', 'failed', 'read'].includes(standing.state)) queueMicrotask(() => this.#arrange());
      },
    });
    const shown = { follow, ports };
    this.#shown.set(taskId, shown);
    return shown;
  }

  #live(): number {
    return [...this.#shown.values()].filter(({ follow }) => follow.following).length;
  }

  /** Leaves streams that nobody sees, then gives their places to logs that wait, the longest waiting first. */
  #arrange(): void {
    for (const [taskId, { follow, ports }] of this.#shown) {
      if (![...ports.values()].includes(true)) follow.stop();
      if (ports.size === 0) this.#shown.delete(taskId);
    }
    if (!this.#isReady) return;
    for (const { follow, ports } of this.#shown.values()) {
      if (![...ports.values()].includes(true)) continue;
      const { state } = follow.standing;
      if (state === 'ended' || state === 'failed' || follow.following) continue;
      if (this.#live() < FOLLOWS_MAX) {
        follow.stop();
        follow.start(true);
      } else if (state === 'opening') {
        follow.start(false);
      }
    }
  }
}
