// What the browser of a job says, as it says it.

import { useComputed, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { memo } from 'preact/compat';
import { useLayoutEffect, useRef } from 'preact/hooks';

import type { App } from '../app.ts';
import { type LogEntry, LogEntry_Level as Level, LogEntry_Source as Source } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { clock, millis, timeOf, visible } from '../text.ts';
import type { LogStanding } from './follow.ts';
import { ENTRIES_MAX, goneBefore } from './log.ts';
import { exact } from './measure.ts';
import { Panel } from './panel.tsx';
import type { TaskView } from './view.ts';

const SOURCES: [Source, string][] = [
  [Source.CONSOLE, 'Console'], [Source.NETWORK, 'Network'], [Source.PAGE, 'Page'], [Source.BROWSER, 'Browser'], [Source.OUTPUT, 'Output'],
];
const LEVELS: [Level, string][] = [
  [Level.LEVEL_UNSPECIFIED, 'All levels'], [Level.INFO, 'Info and above'], [Level.WARNING, 'Warnings and errors'], [Level.ERROR, 'Errors only'],
];
/** Nearer to the end than this, in CSS pixels, is at the end: scrolling stops between pixels. */
const AT_END_PX = 8;

export function LogPanel({ app, view }: { app: App; view: TaskView }) {
  const hidden = useSignal<ReadonlySet<Source>>(new Set());
  const least = useSignal(Level.LEVEL_UNSPECIFIED);
  const shown = useComputed(() => {
    const entries = view.log.value;
    if (hidden.value.size === 0 && least.value === Level.LEVEL_UNSPECIFIED) return entries;
    return entries.filter(({ source, level }) => !hidden.value.has(source) && level >= least.value);
  });
  const toggle = (source: Source) => {
    const next = new Set(hidden.value);
    if (!next.delete(source)) next.add(source);
    hidden.value = next;
  };
  const told = view.log.value.length;
  const filtered = shown.value.length !== told;
  return (
    <Panel name="log" title="Log" beside={<Standing app={app} view={view} />}>
      <div class="log-filters">
        <div role="group" aria-label="Sources">
          {SOURCES.map(([source, word]) => (
            <button key={word} type="button" class="chip" aria-pressed={!hidden.value.has(source)} onClick={() => toggle(source)}>{word}</button>
          ))}
        </div>
        <select aria-label="Level" value={String(least.value)} onChange={(event) => { least.value = Number(event.currentTarget.value); }}>
          {LEVELS.map(([level, word]) => <option key={word} value={String(level)}>{word}</option>)}
        </select>
        <span class="quiet">{filtered ? `${shown.value.length} of ${told} entries` : `${told} ${told === 1 ? 'entry' : 'entries'}`}</span>
      </div>
      {view.logReset.value && <p class="note">The service lost what it had told before, and begins this log anew.</p>}
      <Entries entries={shown.value} filtered={filtered}>
        {told === 0 ? <p class="quiet">{emptyWords(view.logStanding.value)}</p> : shown.value.length === 0 && <p class="quiet">No entry is of these sources and this level.</p>}
      </Entries>
    </Panel>
  );
}

function emptyWords(standing: LogStanding): string {
  switch (standing.state) {
    case 'opening':
      return 'Reading\u2026';
    case 'live':
      return 'Its browser has said nothing yet.';
    case 'ended':
    case 'read':
      return 'Its browser said nothing.';
    case 'reconnecting':
    case 'failed':
      return '';
  }
}

/** Whether it is live, in words that are true at this moment. */
function Standing({ app, view }: { app: App; view: TaskView }) {
  const standing = view.logStanding.value;
  const again = (words: string) => <button type="button" class="small" onClick={() => view.readLogAgain()}>{words}</button>;
  switch (standing.state) {
    case 'opening':
      return <span class="quiet" role="status">{app.store.connection.value.state === 'token needed' ? 'Not live until there is a token.' : 'Reading\u2026'}</span>;
    case 'live':
      return <span class="log-standing good" role="status"><span class="lamp" aria-hidden="true" />Live</span>;
    case 'ended':
      return <span class="quiet" role="status">Complete: nothing more will be said</span>;
    case 'read':
      return (
        <span class="log-standing live">
          <span role="status">Not live, since other tabs follow logs. {standing.at === undefined ? 'Reading\u2026' : `As of ${clock(standing.at)}.`}</span>
          {again('Read again')}
        </span>
      );
    case 'reconnecting':
      return <span class="log-standing bad"><span role="status">Not live. {visible(standing.why)} It is tried again.</span>{again('Try now')}</span>;
    case 'failed':
      return <span class="log-standing bad"><span role="status">Not to be had. {visible(standing.why)}</span>{again('Try again')}</span>;
  }
}

/** Scrolls on with what comes, until somebody scrolls up. */
function Entries({ entries, filtered, children }: { entries: readonly LogEntry[]; filtered: boolean; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const following = useSignal(true);
  // The number up to which somebody who scrolled up has seen all.
  const seen = useRef(0n);
  const last = entries.at(-1)?.number ?? 0n;
  const toEnd = () => {
    following.value = true;
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  };
  useLayoutEffect(() => {
    if (following.peek()) toEnd();
  }, [entries]);
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current as HTMLDivElement;
    const atEnd = scrollHeight - scrollTop - clientHeight < AT_END_PX;
    if (following.peek() && !atEnd) seen.current = last;
    following.value = atEnd;
  };
  const fresh = following.value ? 0 : entries.filter(({ number }) => number > seen.current).length;
  return (
    <div class="log-frame">
      <div ref={box} class="entries" role="log" aria-live="off" aria-label={`The latest entries, at most ${ENTRIES_MAX}`} tabIndex={0} onScroll={scrolled}>
        {children}
        {entries.map((entry, at) => <Entry key={String(entry.number)} entry={entry} gone={filtered ? 0 : goneBefore(entry, entries[at - 1])} />)}
      </div>
      {!following.value && (
        <button type="button" class="small to-end" onClick={toEnd}>{fresh === 0 ? 'To the end' : `To the end, ${fresh} new`}</button>
      )}
    </div>
  );
}

const Entry = memo(({ entry, gone }: { entry: LogEntry; gone: number }) => {
  const at = millis(entry.saidAt);
  const [tone, level] = LOOKS[entry.level] ?? ['', ''];
  const source = SOURCES.find(([source]) => source === entry.source)?.[1] ?? '';
  return (
    <>
      {gone > 0 && <p class="gone">{gone === 1 ? 'One entry is gone.' : `${gone} entries are gone.`}</p>}
      <div class="entry">
        <span class="time" title={at === undefined ? '' : timeOf(at)}>{at === undefined ? '' : exact(at)}</span>
        <span class={`level ${tone}`}>{level}</span>
        <span class="source">{source}</span>
        <span class="said-text">
          <bdi dir="auto">{visible(entry.text)}</bdi>
          {entry.url !== '' && <span class="from">{visible(entry.url)}{entry.line > 0 ? `:${entry.line}` : ''}</span>}
        </span>
      </div>
    </>
  );
});

const LOOKS: Record<Level, [string, string]> = {
  [Level.LEVEL_UNSPECIFIED]: ['', ''],
  [Level.DEBUG]: ['', 'Debug'],
  [Level.INFO]: ['', 'Info'],
  [Level.WARNING]: ['warning', 'Warning'],
  [Level.ERROR]: ['error', 'Error'],
};
