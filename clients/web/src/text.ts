// Makes text of pages and callers fit to be shown: it may be anything.

import type { Timestamp } from '@bufbuild/protobuf/wkt';

/** Controls but tab and line feed, and the marks that turn the direction of what follows them. */
// eslint-disable-next-line no-control-regex
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Text in which nothing acts unseen: each such character is shown as a replacement. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, '\ufffd');
}

/** The address for a link, or nothing when following it could do more than open a page. */
export function linkFor(url: string): string | undefined {
  try {
    const parsed = new URL(url);
    return parsed.protocol === 'http:' || parsed.protocol === 'https:' ? parsed.href : undefined;
  } catch {
    return undefined;
  }
}

/** A span of time for people: "0.4 s", "12 s", "3 min 5 s", "2 h 10 min", "3 d 4 h". */
export function span(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** A span that is still growing, without tenths, which would only flicker. */
export function growing(ms: number): string {
  return ms < 10_000 ? `${Math.floor(Math.max(0, ms) / 1000)} s` : span(ms);
}

/** Milliseconds since 1970. */
export function millis(time: Timestamp | undefined): number | undefined {
  return time && Number(time.seconds) * 1000 + time.nanos / 1e6;
}

// In the form of the page's own language: words in one and times in another read badly.
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const DAY_OF_YEAR = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** "10:41:07". */
export function clock(ms: number): string {
  return CLOCK.format(new Date(ms));
}

/** "10:41:07", with its day before it when that is not today, and the year when it is another one. */
export function timeOf(ms: number): string {
  const date = new Date(ms);
  const today = new Date();
  if (date.toDateString() === today.toDateString()) return clock(ms);
  const day = date.getFullYear() === today.getFullYear() ? DAY : DAY_OF_YEAR;
  return `${day.format(date)}, ${clock(ms)}`;
}

/** JSON set out in lines; as it came when it is none. */
export function setOut(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), undefined, 2);
  } catch {
    return json;
  }
}
