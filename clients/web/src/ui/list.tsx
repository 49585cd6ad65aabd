// The list: what of it is to be shown, its rows, and the way to older ones.

import { useEffect, useRef } from 'preact/hooks';

import type { App } from '../app.ts';
import { askedIn, narrows } from '../list/asked.ts';
import { OLDER_MAX } from '../list/history.ts';
import { askList, listQuery } from '../route.ts';
import { visible } from '../text.ts';
import { Filters } from './filters.tsx';
import { useKeptFocus } from './kept_focus.ts';
import { ShownPicture, shownPicture } from './picture.tsx';
import { Table } from './table.tsx';

export function List({ app }: { app: App }) {
  const { store } = app;
  useEffect(() => () => { shownPicture.value = undefined; }, []);
  if (store.arranged.value === 0) return <Unknown app={app} />;
  // Read for its sake: the list may have become empty, or not.
  const shown = store.view.length;
  const isEmpty = store.size === 0 && !narrows(askedIn(listQuery.value));
  return (
    <section aria-labelledby="heading">
      {isEmpty ? <Empty app={app} /> : (
        <>
          <Filters app={app} />
          {shown === 0 ? <NoMatch /> : <Table app={app} />}
        </>
      )}
      <Older app={app} />
      <ShownPicture />
    </section>
  );
}

/** Nothing was told yet. */
function Unknown({ app }: { app: App }) {
  if (app.store.connection.value.state === 'token needed') return null;
  return <section class="card empty"><h2 id="heading" tabIndex={-1}>Tasks</h2><p>Waiting for the service to tell which there are.</p></section>;
}

function Empty({ app }: { app: App }) {
  return (
    <div class="card empty">
      <h2 id="heading" tabIndex={-1}>No tasks yet</h2>
      {app.store.mayOperate.value && <><p>Enter an address above, or run</p><pre><code>comet-task-runner run https://example.org</code></pre></>}
      <p>Tasks of the last day show here, and change by themselves.</p>
    </div>
  );
}

function NoMatch() {
  return (
    <div class="card empty">
      <p>No task here is like that.</p>
      <button type="button" class="small" onClick={() => askList('')}>Show all tasks</button>
    </div>
  );
}

/** Finished tasks of before what is here by itself. */
function Older({ app }: { app: App }) {
  const reach = app.history.reach.value;
  const asked = askedIn(listQuery.value);
  const connected = app.store.connection.value.state === 'live';
  const section = useRef<HTMLDivElement>(null);
  const added = useRef<HTMLParagraphElement>(null);
  useKeptFocus(section, () => added.current);
  const isBusy = reach.state === 'asking' || !connected;
  return (
    <div ref={section} class="older">
      {(reach.state === 'more' || reach.state === 'asking' || reach.state === 'failed') && (
        <button type="button" class="small" aria-disabled={isBusy} onClick={() => { if (!isBusy) void app.history.ask(asked); }}>
          {reach.state === 'asking' ? 'Asking\u2026' : 'Older tasks'}
        </button>
      )}
      {/* Always there, so that what is put into it is announced. */}
      <p ref={added} role="status" tabIndex={-1}>
        {app.history.added.value}
        {reach.state === 'end' && ' There are no older ones.'}
        {reach.state === 'full' && ` Here are ${OLDER_MAX} older tasks; ask for less to find others.`}
      </p>
      {reach.state === 'failed' && <p class="problem" role="alert">{visible(reach.words)}</p>}
      {asked.text !== '' && reach.state === 'more' && <p class="soft">Among older tasks the text is looked for in the address, in the same letters.</p>}
    </div>
  );
}
