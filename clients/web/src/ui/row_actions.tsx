// What can be done with a task from the list; only what this session may do, and what the task can.

import { useSignal } from '@preact/signals';

import { cancel, type Done, focusWindow, runAgain, takeScreenshot } from '../actions.ts';
import type { App } from '../app.ts';
import { Browser_Capability as Capability, type Job, Job_Status as Status, type Screenshot } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { hrefOf } from '../route.ts';
import type { Row } from '../store.ts';
import { visible } from '../text.ts';
import { Icon, type IconName } from './icon.tsx';
import { Picture } from './picture.tsx';

export function RowActions({ app, row }: { app: App; row: Row }) {
  const job = row.job.value;
  const busy = useSignal('');
  const picture = useSignal<Screenshot | undefined>(undefined);
  if (!app.store.mayOperate.value) return null;
  const can = (capability: Capability) => job.isProcessAlive && (job.browser?.capabilities.includes(capability) ?? false);

  /** Does it, and says what came of it. */
  const act = async <T extends object>(name: string, call: () => Promise<Done<T>>): Promise<({ words: string } & T) | undefined> => {
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
    picture.value = done?.screenshot;
  };
  const stopping = job.status === Status.STOPPING || job.cancelRequested;
  const button = (icon: IconName, words: string, press: () => Promise<void>, name = words) => (
    <button type="button" class="act" disabled={busy.value === words || busy.value === name} aria-label={`${words} ${visible(job.url)}`} title={words}
      onClick={() => void press()}><Icon of={icon} /></button>
  );
  return (
    <>
      {can(Capability.WINDOWS) && job.browser?.headless === false && button('window', 'Focus window', show)}
      {can(Capability.PAGE_SCREENSHOT) && button('camera', 'Take screenshot', shoot, 'Screenshot')}
      {job.done && button('again', 'Run again', again)}
      {(!job.done || job.isProcessAlive) && <Stop job={job} isStopping={stopping && !job.done} isBusy={busy.value === 'Cancel'} stop={stop} />}
      {picture.value && <Picture of={picture.value} url={job.url} leave={() => { picture.value = undefined; }} />}
    </>
  );
}

function Stop({ job, isStopping, isBusy, stop }: { job: Job; isStopping: boolean; isBusy: boolean; stop: () => Promise<void> }) {
  const words = job.done ? 'Close browser of' : isStopping ? 'Stopping' : 'Cancel';
  return (
    <button type="button" class="act stop" disabled={isStopping || isBusy} aria-label={`${words} ${visible(job.url)}`} title={words.replace(' of', '')}
      onClick={() => void stop()}><Icon of="cancel" /></button>
  );
}
