// The rows of the list: only those in sight are drawn, and yet each has its place for keyboards and screen readers.

import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';

import type { App } from '../app.ts';
import { askedIn, type SortBy } from '../list/asked.ts';
import { drawn } from '../list/span.ts';
import { listQuery } from '../route.ts';
import { cursor, goTo } from './cursor.ts';
import { refine } from './filters.tsx';
import { Icon } from './icon.tsx';
import { Rows } from './rows.tsx';

export function Table({ app }: { app: App }) {
  const { store } = app;
  const arranged = store.arranged.value;
  const body = useRef<HTMLDivElement>(null);
  const rowHeight = useSignal(0);
  const sight = useSignal({ from: 0, to: 0 });
  /** The row that is kept where it is while others come and go above it. */
  const anchor = useRef<{ taskId: string; index: number } | undefined>(undefined);
  const count = store.view.length;
  const rows = useRef<Rows | undefined>(undefined);
  // Read while drawing, so that each of them draws again.
  void sight.value;
  void cursor.value;

  const look = () => {
    if (!body.current) return;
    const top = -body.current.getBoundingClientRect().top;
    const next = drawn({ top, height: innerHeight, rowHeight: rowHeight.peek(), rowCount: store.view.length });
    const before = sight.peek();
    if (next.from !== before.from || next.to !== before.to) sight.value = next;
    const first = Math.floor(top / rowHeight.peek());
    const taskId = first > 0 ? store.view.taskIdAt(first) : undefined;
    anchor.current = taskId === undefined ? undefined : { taskId, index: first };
  };

  useLayoutEffect(() => {
    const within = body.current as HTMLDivElement;
    rows.current = new Rows(app, within);
    const measure = new ResizeObserver(() => {
      rowHeight.value = within.querySelector<HTMLElement>('.probe')?.offsetHeight ?? 0;
      // What stays in sight above the columns is as high as it has lines.
      within.parentElement?.style.setProperty('--above', `${document.querySelector<HTMLElement>('.filters')?.offsetHeight ?? 0}px`);
      look();
    });
    measure.observe(within.querySelector('.probe') as Element);
    // What is above the list may grow or shrink, and windows too.
    measure.observe(document.body);
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => {
      rows.current?.clear();
      measure.disconnect();
      removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, []);

  // Every time that the order, the sight or the cursor is another.
  useLayoutEffect(() => {
    const focused = cursor.value === undefined ? -1 : store.view.indexOf(cursor.value);
    rows.current?.show(indexes(sight.value, focused, count), rowHeight.value);
  });

  // After each new order: what one reads stays where it is.
  useLayoutEffect(() => {
    const was = anchor.current;
    const index = was ? store.view.indexOf(was.taskId) : -1;
    if (was && index >= 0 && index !== was.index) scrollBy({ top: (index - was.index) * rowHeight.peek(), behavior: 'instant' });
    look();
  }, [arranged, listQuery.value]);

  return (
    <div role="table" class="table" aria-label="Tasks" aria-rowcount={count + 1} onKeyDown={(event) => follow(app, event)}>
      <Columns />
      <div role="rowgroup" class="rows" ref={body} style={{ height: `${count * rowHeight.value}px` }} onFocusIn={(event) => note(event.target)}>
        <div class="probe" role="presentation" />
      </div>
    </div>
  );
}

/** The rows in sight and, in its place among them, the one with the focus. */
function indexes({ from, to }: { from: number; to: number }, focused: number, count: number): number[] {
  const all = Array.from({ length: Math.max(0, Math.min(to, count) - from) }, (_, at) => from + at);
  if (focused < 0 || focused >= count) return all;
  if (focused < from) return [focused, ...all];
  return focused >= to ? [...all, focused] : all;
}

function note(target: EventTarget | null): void {
  const row = target instanceof Element ? target.closest<HTMLElement>('[data-task]') : null;
  if (row?.dataset.task !== undefined) cursor.value = row.dataset.task;
}

function follow(app: App, event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).closest('dialog')) return;
  const { view } = app.store;
  const at = cursor.peek() === undefined ? -1 : view.indexOf(cursor.peek() ?? '');
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: view.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  goTo(app, to);
}

const COLUMNS: readonly { name: string; sort?: SortBy; turned?: 'ascending' | 'descending' }[] = [
  { name: 'Status', sort: 'status', turned: 'ascending' },
  { name: 'Task' },
  { name: 'Accepted', sort: 'created', turned: 'descending' },
  { name: 'Time', sort: 'time', turned: 'descending' },
  { name: 'Actions' },
];

function Columns() {
  const asked = askedIn(listQuery.value);
  return (
    <div role="rowgroup" class="columns">
      <div role="row" aria-rowindex={1}>
        {COLUMNS.map(({ name, sort, turned }) => {
          if (sort === undefined || turned === undefined) return <div role="columnheader" key={name}>{name === 'Actions' ? <span class="unseen">{name}</span> : name}</div>;
          const isUsed = asked.sort === sort;
          const direction = asked.reversed === (turned === 'descending') ? 'ascending' : 'descending';
          return (
            <div role="columnheader" key={name} aria-sort={isUsed ? direction : 'none'}>
              <button type="button" class="plain" onClick={() => refine({ sort, reversed: isUsed && !asked.reversed })}>
                {name}{isUsed && <Icon of={direction === 'ascending' ? 'up' : 'down'} />}
              </button>
            </div>
          );
        })}
      </div>
    </div>
  );
}
