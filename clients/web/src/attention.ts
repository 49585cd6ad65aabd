// What a tab says while nobody looks at it: counts in its title and icon, and notifications where somebody wants them.

import { effect, type ReadonlySignal, signal } from '@preact/signals';

import { type Job, Job_Status as Status } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import { reasonOf } from './reasons.ts';
import { hrefOf } from './route.ts';
import { lookOf } from './statuses.ts';
import type { Store } from './store.ts';
import { visible } from './text.ts';

const NAME = 'Comet Task Runner';
const KEY = 'comet-task-runner.notify';
/** More ends than these at once are told as one: nobody reads a stack of notifications. */
const TOLD_MAX = 3;

/** Whether ends are told: wanted and allowed, not wanted, or wanted and forbidden by the browser. */
export type Telling = 'on' | 'off' | 'forbidden' | 'unsupported';

const current = signal<Telling>('off');
export const telling: ReadonlySignal<Telling> = current;

/** Running and failed tasks, as the list has them. */
export function countsOf(counts: ReadonlyMap<Status, number>): { running: number; failed: number } {
  const of = (...statuses: Status[]) => statuses.reduce((sum, status) => sum + (counts.get(status) ?? 0), 0);
  return { running: of(Status.RUNNING, Status.STOPPING), failed: of(Status.FAILED, Status.TIMED_OUT, Status.LOST) };
}

export function titleOf({ running, failed }: { running: number; failed: number }): string {
  const parts = [running > 0 ? `${running} running` : '', failed > 0 ? `${failed} failed` : ''].filter((part) => part !== '');
  return parts.length === 0 ? NAME : `(${parts.join(', ')}) ${NAME}`;
}

/** An icon with a ring while tasks run, and a red corner with their number when some failed. */
export function iconOf({ running, failed }: { running: number; failed: number }): string {
  const ring = running > 0 ? '<circle cx="32" cy="32" r="27" fill="none" stroke="#f5b700" stroke-width="8"/>' : '<circle cx="32" cy="32" r="27" fill="none" stroke="#1f5fd0" stroke-width="8"/>';
  const inner = running > 0 ? `<text x="32" y="43" font-size="32">${running > 99 ? '∞' : running}</text>` : '<path d="m22 33 8 8 14-17" fill="none" stroke="#1f5fd0" stroke-width="7"/>';
  const corner = failed > 0 ? `<circle cx="48" cy="48" r="16" fill="#d93a38"/><text x="48" y="56" font-size="22" fill="#fff">${failed > 9 ? '9+' : failed}</text>` : '';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><g font-family="sans-serif" font-weight="700" text-anchor="middle" fill="#8a5a00">${ring}${inner}${corner}</g></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

/** Keeps title and icon true from now on. */
export function showCounts(store: Store): void {
  const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]');
  effect(() => {
    const counts = countsOf(store.counts.value);
    document.title = titleOf(counts);
    const drawn = iconOf(counts);
    if (icon && icon.href !== drawn) icon.href = drawn;
  });
}

/** Tells of ends from now on, as it was wanted before. */
export function recallTelling(store: Store): void {
  current.value = standing();
  store.onEnded = (jobs) => { if (current.peek() === 'on' && document.visibilityState === 'hidden') tell(jobs); };
}

/** Somebody pressed the bell. Asks for the permission where it takes one. */
export async function turnTelling(): Promise<void> {
  if (current.value === 'on') {
    localStorage.removeItem(KEY);
  } else if (current.value !== 'unsupported') {
    localStorage.setItem(KEY, 'on');
    if (Notification.permission === 'default') await Notification.requestPermission();
    if (Notification.permission === 'default') localStorage.removeItem(KEY);
  }
  current.value = standing();
}

function standing(): Telling {
  if (!('Notification' in globalThis)) return 'unsupported';
  if (localStorage.getItem(KEY) === null) return 'off';
  return Notification.permission === 'granted' ? 'on' : 'forbidden';
}

function tell(jobs: Job[]): void {
  if (jobs.length > TOLD_MAX) return void show(`${jobs.length} tasks ended`, '', 'many');
  for (const job of jobs) {
    // Of several tabs each says the same under the same tag, and the last one replaces the others.
    show(`${lookOf(job).word}: ${visible(job.url)}`, visible(reasonOf(job)), job.taskId)
      ?.addEventListener('click', () => { location.hash = hrefOf(job.taskId); });
  }
}

function show(title: string, body: string, tag: string): Notification | undefined {
  let notification: Notification;
  try {
    notification = new Notification(title, { body, tag, icon: '/favicon.svg' });
  } catch {
    // Chrome on Android has the permission and the name, and leaves the rest to service workers.
    localStorage.removeItem(KEY);
    current.value = 'unsupported';
    return undefined;
  }
  notification.addEventListener('click', () => { focus(); notification.close(); });
  return notification;
}
