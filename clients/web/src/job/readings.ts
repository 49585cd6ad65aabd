// Readings of a job's process tree since this page was opened: enough for a small chart, and no more.

import type { ProcessInfo } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { millis } from '../text.ts';

/** Ten minutes, at one reading a second. Beyond it the oldest ones are let go. */
export const READINGS_MAX = 600;
/** Readings come once a second. Where one is further from the next than this, there was none between: a line would lie. */
const GAP_MS = 5_000;

export interface Reading {
  /** Milliseconds since 1970. */
  at: number;
  /** Percent of one processor. Absent until two readings could be compared. */
  cpuPercent: number | undefined;
  memoryMb: number;
  processCount: number;
}

/** `readings` with one more, unless that is there already. */
export function withReading(readings: readonly Reading[], info: ProcessInfo): readonly Reading[] {
  const at = millis(info.sampledAt);
  const last = readings.at(-1);
  if (at === undefined || (last && at <= last.at)) return readings;
  const reading = { at, cpuPercent: info.cpuPercent, memoryMb: info.memoryMb, processCount: info.processCount };
  return [...readings.slice(1 - READINGS_MAX), reading];
}

/** Seconds and values beside each other, with an empty value where nobody read. */
export function columns(readings: readonly Reading[], value: (reading: Reading) => number | undefined): [number[], (number | null)[]] {
  const times: number[] = [];
  const values: (number | null)[] = [];
  let last: number | undefined;
  for (const reading of readings) {
    if (last !== undefined && reading.at - last > GAP_MS) {
      times.push((last + reading.at) / 2000);
      values.push(null);
    }
    times.push(reading.at / 1000);
    values.push(value(reading) ?? null);
    last = reading.at;
  }
  return [times, values];
}

/** The highest value. Undefined when there is none. */
export function peak(readings: readonly Reading[], value: (reading: Reading) => number | undefined): number | undefined {
  const known = readings.map(value).filter((one) => one !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}
