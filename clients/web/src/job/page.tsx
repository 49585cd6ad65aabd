// One task, on a page of its own: all that is known of it, kept up to date.

import './job.css';

import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';

import type { App } from '../app.ts';
import { hrefOfList } from '../route.ts';
import { visible } from '../text.ts';
import { Acts } from './acts.tsx';
import { Charts } from './chart.tsx';
import { Commands } from './commands-panel.tsx';
import { Facts, Result } from './facts-panel.tsx';
import { Files } from './files.tsx';
import { Head } from './head.tsx';
import { LogPanel } from './log-panel.tsx';
import { type Picture, PicturePanel } from './picture.tsx';
import { Timeline } from './timeline.tsx';
import { TaskView } from './view.ts';

export function TaskPage({ app, taskId }: { app: App; taskId: string }) {
  const view = useMemo(() => new TaskView(app, taskId), [app, taskId]);
  useEffect(() => view.open(), [view]);
  /** What stood here before the task was known had the focus. */
  const hadFocus = useRef(false);
  return (
    <article class="task" aria-labelledby="heading">
      <nav aria-label="Back"><a href={hrefOfList()}><span aria-hidden="true">{'\u2190'} </span>All tasks</a></nav>
      {view.job.value ? <Known app={app} view={view} hadFocus={hadFocus} /> : <Missing app={app} view={view} hadFocus={hadFocus} />}
    </article>
  );
}

interface Parts { app: App; view: TaskView; hadFocus: { current: boolean } }

function Known({ app, view, hadFocus }: Parts) {
  const taken = useSignal<Picture | undefined>(undefined);
  useLayoutEffect(() => {
    if (hadFocus.current) document.getElementById('heading')?.focus();
  }, []);
  return (
    <>
      {view.standing.value.kind === 'unknown' && (
        <p class="note" role="status">The service has forgotten this task, and its files and log with it. This is how it last stood.</p>
      )}
      <Head view={view} />
      <Acts app={app} view={view} taken={taken} />
      <div class="task-columns">
        <div>
          <Timeline view={view} />
          <Result view={view} />
          <Facts app={app} view={view} />
        </div>
        <div>
          <Charts view={view} />
          <PicturePanel app={app} view={view} taken={taken} />
          <Files app={app} view={view} />
        </div>
      </div>
      <LogPanel app={app} view={view} />
      <Commands taskId={view.taskId} />
    </>
  );
}

/** There is nothing to show, and this is why. */
function Missing({ app, view, hadFocus }: Parts) {
  const section = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    const shown = section.current;
    return () => { hadFocus.current = shown?.contains(document.activeElement) ?? false; };
  }, []);
  const standing = view.standing.value;
  const needsToken = app.store.connection.value.state === 'token needed';
  switch (standing.kind) {
    case 'here':
    case 'loading':
      return <section ref={section} class="empty"><h2 id="heading" tabIndex={-1}>{needsToken ? 'This task is shown once there is a token' : 'Reading the task\u2026'}</h2></section>;
    case 'unknown':
      return (
        <section ref={section} class="empty">
          <h2 id="heading" tabIndex={-1}>There is no such task</h2>
          <p>The service knows no task <code>{visible(view.taskId)}</code>. It never had one, or it has forgotten it: a task is kept for
            seven days after its end, unless it was asked otherwise.</p>
          <p><a href={hrefOfList()}>See all tasks</a></p>
        </section>
      );
    case 'failed':
      return (
        <section ref={section} class="empty">
          <h2 id="heading" tabIndex={-1}>The task could not be read</h2>
          <p class="problem" role="alert">{visible(standing.why)}</p>
          <p><button type="button" class="small" onClick={() => void view.load()}>Try again</button></p>
        </section>
      );
  }
}
