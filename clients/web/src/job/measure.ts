// Figures and times for people, more exact than in a list.

import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';

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

/** Milliseconds since 1970, with what is below a millisecond. */
export function millis(time: Timestamp | undefined): number | undefined {
  return time && Number(time.seconds) * 1000 + time.nanos / 1e6;
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

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const EXACT = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** "10:41:07". */
export function clock(ms: number): string {
  return CLOCK.format(new Date(ms));
}

/** "10:41:07.279". */
export function exact(ms: number): string {
  return EXACT.format(new Date(ms));
}

/** "10:41:07", with its day before it when that is not today. */
export function moment(ms: number): string {
  const date = new Date(ms);
  return date.toDateString() === new Date().toDateString() ? clock(ms) : `${DAY.format(date)}, ${clock(ms)}`;
}
