// A log as it was told: the latest entries, in their order, and whether they are those of before.

import type { LogEntry, ReadLogResponse } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';

/** Entries that are kept: as many as the service keeps of a job. Beyond it the oldest ones are let go. */
export const ENTRIES_MAX = 1000;

/** More of a log. */
export interface LogPart {
  entries: readonly LogEntry[];
  /** What was told before does not count any more. */
  anew: boolean;
  /** The service lost what it had told, and begins again with number 1. */
  reset: boolean;
}

export class Log {
  #entries: readonly LogEntry[] = [];
  /** Goes on behind what was told: the next after_number. */
  lastNumber = 0n;
  /** What was told once is lost. */
  reset = false;

  get entries(): readonly LogEntry[] {
    return this.#entries;
  }

  /** Takes what the service tells, and gives what is new. */
  read(message: ReadLogResponse): LogPart {
    const part = { entries: message.entries, anew: message.reset, reset: message.reset || this.reset };
    this.apply(part);
    if (message.reset || message.lastNumber > this.lastNumber) this.lastNumber = message.lastNumber;
    return part;
  }

  apply(part: LogPart): void {
    this.reset = part.reset;
    if (part.anew) this.#entries = [];
    const last = this.#entries.at(-1)?.number ?? 0n;
    const more = part.entries.filter(({ number }) => number > last);
    if (more.length > 0) this.#entries = [...this.#entries, ...more].slice(-ENTRIES_MAX);
  }

  /** All of it, for somebody who has none of it. */
  whole(): LogPart {
    return { entries: this.#entries, anew: true, reset: this.reset };
  }
}

/** How many entries are not there between an entry and the one before it. */
export function goneBefore(entry: LogEntry, before: LogEntry | undefined): number {
  return Number(entry.number - (before?.number ?? 0n) - 1n);
}
