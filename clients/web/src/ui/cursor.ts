// The task that the keyboard is at: it stays drawn and reachable wherever the list is scrolled to.

import { signal } from '@preact/signals';

import type { App } from '../app.ts';
import { route } from '../route.ts';

/** The task_id of the row that has, or last had, the focus. */
export const cursor = signal<string | undefined>(undefined);

/** Goes so many rows down, or up; to the first row when there was none. */
export function step(app: App, by: number): void {
  if (route.peek().page !== 'list') return;
  const { view } = app.store;
  const at = cursor.peek() === undefined ? -1 : view.indexOf(cursor.peek() ?? '');
  goTo(app, at < 0 ? 0 : at + by);
}

/** Goes to a row by its place. */
export function goTo(app: App, index: number): void {
  const { view } = app.store;
  const taskId = view.taskIdAt(Math.min(view.length - 1, Math.max(0, index)));
  if (taskId === undefined) return;
  cursor.value = taskId;
  // The row is drawn by then, wherever it stands; focus brings it into sight.
  requestAnimationFrame(() => {
    const row = [...document.querySelectorAll<HTMLElement>('[data-task]')].find((one) => one.dataset.task === taskId);
    row?.scrollIntoView({ block: 'nearest' });
    row?.querySelector<HTMLElement>('.open')?.focus({ preventScroll: true });
  });
}
