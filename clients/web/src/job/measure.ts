// Figures and times for people, more exact than in a list.

import type { Duration } from '@bufbuild/protobuf/wkt';

import { span } from '../text.ts';

/** "15.5 KiB", "3 MiB", "812 bytes". */
export function bytes(count: number): string {
  if (count < 1024) return count === 1 ? '1 byte' : `${count} bytes`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let amount = count / 1024;
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${amount < 10 ? (Math.floor(amount * 10) / 10).toString() : Math.floor(amount)} ${units[unit]}`;
}

export function durationMs(duration: Duration | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** The time between two changes: "+4 ms", "+0.18 s", "+12 s", "+3 min 5 s". Clocks can be set back: never below 0. */
export function between(ms: number): string {
  const passed = Math.max(0, ms);
  if (passed < 100) return `+${Math.round(passed)} ms`;
  return passed < 1000 ? `+${(passed / 1000).toFixed(2)} s` : `+${span(passed)}`;
}

const EXACT = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 });

/** "10:41:07.279". */
export function exact(ms: number): string {
  return EXACT.format(new Date(ms));
}
