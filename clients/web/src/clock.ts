// The time on the screen: moves with each second while something is counting, else with each minute.

import { effect, type ReadonlySignal, signal } from '@preact/signals';

const time = signal(Date.now());

/** Milliseconds since 1970, to the second; to the minute while nothing counts. */
export const now: ReadonlySignal<number> = time;

/** For what counts, such as how long a task runs. */
const SECOND_MS = 1000;
/** For what is said in minutes or more, such as for how long the service is up. */
const MINUTE_MS = 60_000;

/** Moves the clock from now on: with each second for as long as `ticking` holds, else with each minute. */
export function keepTime(ticking: ReadonlySignal<boolean>): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tick = () => {
    clearTimeout(timer);
    time.value = Date.now();
    const beat = ticking.peek() ? SECOND_MS : MINUTE_MS;
    timer = setTimeout(tick, beat - (Date.now() % beat));
  };
  effect(() => {
    void ticking.value;
    tick();
  });
}
