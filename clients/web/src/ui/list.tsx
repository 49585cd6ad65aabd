// The jobs, newest first.

import { useSignal } from '@preact/signals';

import type { App } from '../app.ts';
import { JobRow } from './row.tsx';

/** Rows drawn at first, and with each "more": what a browser draws without a pause. */
const ROWS = 100;

export function List({ app }: { app: App }) {
  const shown = useSignal(ROWS);
  const order = app.store.order.value;
  if (!order) return null;
  if (order.length === 0) return <Empty />;
  const rest = order.length - shown.value;
  return (
    <section aria-labelledby="heading">
      <h2 id="heading" class="unseen" tabIndex={-1}>Tasks</h2>
      <ol class="jobs">
        {order.slice(0, shown.value).map((taskId) => {
          const row = app.store.row(taskId);
          return row && <JobRow key={taskId} app={app} row={row} />;
        })}
      </ol>
      {rest > 0 && (
        <button type="button" class="more" onClick={() => { shown.value += ROWS; }}>
          Show {Math.min(rest, ROWS)} more of {rest}
        </button>
      )}
    </section>
  );
}

function Empty() {
  return (
    <section class="empty">
      <h2 id="heading" tabIndex={-1}>No tasks yet</h2>
      <p>Enter an address above, or run</p>
      <pre><code>comet-task-runner run https://example.org</code></pre>
      <p>Tasks of the last day show here, and change by themselves.</p>
    </section>
  );
}
