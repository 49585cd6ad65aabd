// Spans of time as people write them: "30", "30 s", "1 h 30 min", "none".

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { DurationSchema } from '@bufbuild/protobuf/wkt';

const UNITS: Record<string, number> = { ms: 1, s: 1000, sec: 1000, min: 60_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds, or nothing when it is no span. A number alone is seconds. */
export function spanIn(text: string): number | undefined {
  const written = text.trim().toLowerCase();
  if (written === 'none') return 0;
  if (/^\d+(\.\d+)?$/.test(written)) return Math.round(Number(written) * 1000);
  if (!/^(\d+(\.\d+)?\s*[a-z]+\s*)+$/.test(written)) return undefined;
  let sum = 0;
  for (const [, number, unit = ''] of written.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/g)) {
    const length = UNITS[unit];
    if (length === undefined) return undefined;
    sum += Number(number) * length;
  }
  return Math.round(sum);
}

export function durationOf(ms: number): MessageInitShape<typeof DurationSchema> {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}
