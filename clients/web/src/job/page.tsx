// One task, on a page of its own.

import type { App } from '../app.ts';
import { hrefOfList } from '../route.ts';
import { visible } from '../text.ts';

export function TaskPage({ taskId }: { app: App; taskId: string }) {
  return (
    <section aria-labelledby="heading">
      <p><a href={hrefOfList()}>All tasks</a></p>
      <h2 id="heading" tabIndex={-1}>Task {visible(taskId)}</h2>
    </section>
  );
}
