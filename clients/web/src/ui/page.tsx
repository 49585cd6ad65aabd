// The page: what one can do, how it stands, what there is.

import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import type { App } from '../app.ts';
import { TaskPage } from '../job/page.tsx';
import { go, hrefOfList, type Route, route } from '../route.ts';
import { followKeys } from '../shortcuts.ts';
import { Enter } from './enter.tsx';
import { ExecuteForm } from './execute.tsx';
import { Footer } from './footer.tsx';
import { Header } from './header.tsx';
import { Help } from './help.tsx';
import { step } from './cursor.ts';
import { List } from './list.tsx';
import { NoticeList } from './notices.tsx';
import { Problems, RunnerPanel } from './runner.tsx';

export function Page({ app }: { app: App }) {
  const at = route.value;
  const runnerShown = useSignal(false);
  const helpShown = useSignal(false);
  const needsToken = app.store.connection.value.state === 'token needed';
  useHeadingFocus();
  useEffect(() => followKeys({
    '/': () => onList(() => document.getElementById('look')?.focus()),
    n: () => onList(() => document.getElementById('url')?.focus()),
    j: () => step(app, 1),
    k: () => step(app, -1),
    u: () => { if (route.peek().page === 'task') go(hrefOfList()); },
    r: () => { runnerShown.value = !runnerShown.value; },
    '?': () => { helpShown.value = true; },
  }), []);
  return (
    <>
      <a class="skip" href="#heading" onClick={skip}>To the tasks</a>
      <Header app={app} runnerShown={runnerShown} helpShown={helpShown} />
      <main>
        {runnerShown.value && <RunnerPanel app={app} />}
        <Problems app={app} />
        {needsToken && <Enter app={app} />}
        {at.page === 'list' && !needsToken && app.store.mayOperate.value && <ExecuteForm app={app} />}
        {at.page === 'list' ? <List app={app} /> : <TaskPage key={at.taskId} app={app} taskId={at.taskId} />}
      </main>
      <Footer app={app} />
      <NoticeList app={app} />
      <Help shown={helpShown} />
    </>
  );
}

function skip(event: Event): void {
  // The address stays that of the page.
  event.preventDefault();
  document.getElementById('heading')?.focus();
}

/** Does something of the list's page, which may have to be shown first. */
function onList(act: () => void): void {
  if (route.peek().page === 'list') return act();
  go(hrefOfList());
  const stop = route.subscribe((at) => {
    if (at.page !== 'list') return;
    // Twice: the heading takes the focus with the first frame.
    requestAnimationFrame(() => requestAnimationFrame(act));
    queueMicrotask(() => stop());
  });
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
