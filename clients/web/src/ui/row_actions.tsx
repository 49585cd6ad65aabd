// What can be done with a task from the list; only what this session may do, and what the task can.

import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';

import { cancel, type Done, focusWindow, runAgain, takeScreenshot } from '../actions.ts';
import type { App } from '../app.ts';
import type { Job } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { canCancel, canFocus, canPicture, isStopping } from '../job/can.ts';
import { pictureOf } from '../job/picture.tsx';
import { hrefOf, route } from '../route.ts';
import type { Row } from '../store.ts';
import { visible } from '../text.ts';
import { Icon, type IconName } from './icon.tsx';
import { useKeptFocus } from './kept_focus.ts';
import { shownPicture } from './picture.tsx';

export function RowActions({ app, row }: { app: App; row: Row }) {
  const job = row.job.value;
  const busy = useSignal('');
  const cell = useRef<HTMLDivElement>(null);
  useKeptFocus(cell, () => cell.current?.closest('.job')?.querySelector<HTMLElement>('.open'));
  if (!app.store.mayOperate.value) return <div ref={cell} role="cell" class="acts" />;

  /** Does it, and says what came of it. */
  const act = async <T extends object>(name: string, call: () => Promise<Done<T>>): Promise<({ words: string } & T) | undefined> => {
    // The button stays, with the focus; pressed once more it does nothing.
    if (busy.peek() === name) return undefined;
    busy.value = name;
    const done = await call();
    busy.value = '';
    if (!done.problem) return done;
    app.notices.say('bad', `${name}: ${visible(done.problem.words)}`);
    return undefined;
  };
  const stop = async () => {
    const done = await act('Cancel', () => cancel(app.calls, job.taskId));
    if (done) app.notices.say('good', done.words);
  };
  const again = async () => {
    const done = await act('Run again', () => runAgain(app.calls, job.taskId));
    if (done) app.notices.say('good', done.words, { link: { href: hrefOf(done.taskId), words: 'See it' } });
  };
  const show = async () => {
    const done = await act('Focus window', () => focusWindow(app.calls, job.taskId));
    if (done) app.notices.say('good', done.words);
  };
  const shoot = async () => {
    const done = await act('Screenshot', () => takeScreenshot(app.calls, job.taskId));
    // Whoever went on to another page meanwhile looks at something else.
    if (done && route.peek().page === 'list') shownPicture.value = { picture: pictureOf(job.taskId, done.screenshot), url: job.url };
  };
  const button = (icon: IconName, words: string, press: () => Promise<void>, name = words) => (
    <button type="button" class="act" aria-disabled={busy.value === name} aria-label={`${words} ${visible(job.url)}`} title={words}
      onClick={() => void press()}><Icon of={icon} /></button>
  );
  return (
    <div ref={cell} role="cell" class="acts">
      {canFocus(job) && button('window', 'Focus window', show)}
      {canPicture(job) && button('camera', 'Take screenshot', shoot, 'Screenshot')}
      {job.done && button('again', 'Run again', again)}
      {(canCancel(job) || isStopping(job)) && <Stop job={job} isBusy={busy.value === 'Cancel'} stop={stop} />}
    </div>
  );
}

function Stop({ job, isBusy, stop }: { job: Job; isBusy: boolean; stop: () => Promise<void> }) {
  const words = job.done ? 'Close browser of' : isStopping(job) ? 'Stopping' : 'Cancel';
  return (
    <button type="button" class="act stop" aria-disabled={isStopping(job) || isBusy} aria-label={`${words} ${visible(job.url)}`} title={words.replace(' of', '')}
      onClick={() => { if (!isStopping(job)) void stop(); }}><Icon of="cancel" /></button>
  );
}
