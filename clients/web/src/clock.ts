// The time on the screen: moves only while something is counting.

import { effect, type ReadonlySignal, signal } from '@preact/signals';

const time = signal(Date.now());

/** Milliseconds since 1970, to the second. */
export const now: ReadonlySignal<number> = time;

/** Moves the clock with each second for as long as `ticking` holds. */
export function keepTime(ticking: ReadonlySignal<boolean>): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tick = () => {
    time.value = Date.now();
    timer = setTimeout(tick, 1000 - (Date.now() % 1000));
  };
  effect(() => {
    clearTimeout(timer);
    if (ticking.value) queueMicrotask(() => { clearTimeout(timer); if (ticking.peek()) tick(); });
  });
}
