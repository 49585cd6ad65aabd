// The page: what one can do, how it stands, what there is.

import { useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';

import type { App } from '../app.ts';
import { TaskPage } from '../job/page.tsx';
import { type Route, route } from '../route.ts';
import { ConnectionState } from './connection.tsx';
import { Enter } from './enter.tsx';
import { ExecuteForm } from './execute.tsx';
import { Footer } from './footer.tsx';
import { List } from './list.tsx';

export function Page({ app }: { app: App }) {
  const at = route.value;
  const needsToken = app.store.connection.value.state === 'token needed';
  useHeadingFocus();
  return (
    <>
      <header>
        <h1>Comet Task Runner</h1>
        <ConnectionState app={app} />
      </header>
      <main>
        {needsToken && <Enter app={app} />}
        {at.page === 'list' && !needsToken && <ExecuteForm app={app} />}
        {at.page === 'list' ? <List app={app} /> : <TaskPage key={at.taskId} app={app} taskId={at.taskId} />}
      </main>
      <Footer app={app} />
    </>
  );
}

/** After a step to another page its heading has the focus, so that reading goes on there. */
function useHeadingFocus(): void {
  const from = useRef<Route | undefined>(undefined);
  useSignalEffect(() => {
    const at = route.value;
    const before = from.current;
    from.current = at;
    if (before !== undefined && before !== at) requestAnimationFrame(() => document.getElementById('heading')?.focus());
  });
}
