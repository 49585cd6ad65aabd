// The elements of the rows that are drawn: made, placed and let go by hand, each the root of its own small tree. Rows come
// and go with every change, and what a tree for all of them remembers of those that went would pile up.

import { effect } from '@preact/signals';
import { render } from 'preact';

import type { App } from '../app.ts';
import { lookOf } from '../statuses.ts';
import type { Row } from '../store.ts';
import { goTo } from './cursor.ts';
import { JobCells } from './row.tsx';

interface Drawn { element: HTMLElement; release: () => void }

export class Rows {
  readonly #drawn = new Map<string, Drawn>();

  constructor(private readonly app: App, private readonly body: HTMLElement) {}

  /** Shows the rows at these places of the list, which are in order, and no other. */
  show(indexes: number[], rowHeight: number): void {
    const { store } = this.app;
    const wanted = new Map(indexes.map((index) => [store.view.taskIdAt(index) ?? '', index]));
    const focused = document.activeElement;
    const left = [...this.#drawn].find(([taskId, { element }]) => !wanted.has(taskId) && element.contains(focused))?.[1].element;
    const leftIndex = Number(left?.getAttribute('aria-rowindex')) - 2;
    for (const taskId of this.#drawn.keys()) if (!wanted.has(taskId)) this.#drop(taskId);
    let next = this.body.querySelector('[data-task]');
    for (const [taskId, index] of wanted) {
      const row = store.row(taskId);
      if (!row) continue;
      const { element } = this.#drawn.get(taskId) ?? this.#draw(taskId, row);
      element.style.transform = `translateY(${index * rowHeight}px)`;
      // The first row of the table is that of the columns' names.
      element.setAttribute('aria-rowindex', String(index + 2));
      if (element === next) next = next.nextElementSibling;
      else this.body.insertBefore(element, next);
    }
    // An element that is moved loses the focus.
    if (focused instanceof HTMLElement && focused !== document.activeElement && this.body.contains(focused)) focused.focus({ preventScroll: true });
    // One that is gone leaves it to the row that came into its place.
    if (left) goTo(this.app, leftIndex);
  }

  clear(): void {
    const hadFocus = this.body.contains(document.activeElement);
    for (const taskId of this.#drawn.keys()) this.#drop(taskId);
    if (hadFocus) requestAnimationFrame(() => { if (document.activeElement === document.body) document.getElementById('heading')?.focus(); });
  }

  #draw(taskId: string, row: Row): Drawn {
    const element = document.createElement('div');
    element.setAttribute('role', 'row');
    element.dataset.task = taskId;
    const release = effect(() => {
      const job = row.job.value;
      element.className = `job ${lookOf(job).tone}`;
      element.dataset.told = String(row.told);
      element.dataset.revision = String(job.revision);
    });
    render(<JobCells app={this.app} row={row} />, element);
    const drawn = { element, release };
    this.#drawn.set(taskId, drawn);
    return drawn;
  }

  #drop(taskId: string): void {
    const drawn = this.#drawn.get(taskId);
    if (!drawn) return;
    this.#drawn.delete(taskId);
    drawn.release();
    render(null, drawn.element);
    drawn.element.remove();
  }
}
