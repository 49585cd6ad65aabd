// What a person can do with a job, each said back in words.

import { useSignal, type Signal } from '@preact/signals';
import { useRef } from 'preact/hooks';

import { cancel, type Done, focusWindow, open, takeScreenshot } from '../actions.ts';
import type { App } from '../app.ts';
import type { ExecuteRequest } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { outcomeOf } from './outcome.ts';
import { go, hrefOf } from '../route.ts';
import { visible } from '../text.ts';
import { useKeptFocus } from '../ui/kept_focus.ts';
import { canCancel, canFocus, canKill, canPicture } from './can.ts';
import { type Picture, pictureOf } from './picture.tsx';
import type { TaskView } from './view.ts';

/** Killing only records the wish. */
const KILL_TIMEOUT_MS = 15_000;

type Act = 'cancel' | 'kill' | 'again' | 'focus' | 'picture';

export function Acts({ app, view, taken }: { app: App; view: TaskView; taken: Signal<Picture | undefined> }) {
  const said = useSignal<{ words: string; bad: boolean } | undefined>(undefined);
  const busy = useSignal<Act | undefined>(undefined);
  const group = useRef<HTMLDivElement>(null);
  useKeptFocus(group, () => document.getElementById('heading'));
  const job = view.job.value;
  if (!job) return null;
  // Until the service has said what this session may do, nothing is offered and nothing denied.
  if (!app.store.runner.value) return null;
  if (!app.store.mayOperate.value) return <p class="quiet">This session may look on; it may not act.</p>;

  const act = async <T extends object>(name: Act, call: () => Promise<Done<T>>, then: (done: T) => void = () => {}) => {
    // The button stays, with the focus; pressed once more it does nothing.
    if (busy.peek() !== undefined) return;
    busy.value = name;
    said.value = undefined;
    const done = await call();
    busy.value = undefined;
    if (view.left.aborted) return;
    if (done.problem) said.value = { words: done.problem.words, bad: true };
    else {
      said.value = { words: done.words, bad: false };
      then(done);
    }
  };
  const { calls } = app;
  const { taskId } = view;
  const doing = (name: Act, words: string, meanwhile: string, run: () => Promise<void>) => (
    <button key={name} type="button" class={name === 'again' && job.done ? '' : 'quiet'} aria-disabled={busy.value !== undefined} onClick={() => void run()}>
      {busy.value === name ? meanwhile : words}
    </button>
  );
  const request = view.request.value;
  const again = (asked: ExecuteRequest) => act('again', () => open(calls, asked, (cut) => { said.value = { words: `${cut.words} Trying again\u2026`, bad: true }; }), (done) => go(hrefOf(done.taskId)));
  return (
    <div class="task-acts">
      <div ref={group} role="group" aria-label="Actions">
        {canCancel(job) && doing('cancel', job.done ? 'Close browser' : 'Cancel', 'Asking\u2026', () => act('cancel', () => cancel(calls, taskId)))}
        {canKill(job) && doing('kill', 'Kill now', 'Asking\u2026', () => act('kill', () => kill(app, taskId)))}
        {canPicture(job) && doing('picture', 'Take screenshot', 'Taking\u2026', () => act('picture', () => takeScreenshot(calls, taskId), ({ screenshot }) => { taken.value = pictureOf(taskId, screenshot); }))}
        {canFocus(job) && doing('focus', 'Focus window', 'Asking\u2026', () => act('focus', () => focusWindow(calls, taskId)))}
        {request && doing('again', 'Run again', 'Starting\u2026', () => again(request))}
      </div>
      <p role="status" class={said.value?.bad ? 'problem' : 'quiet'}>{visible(said.value?.words ?? '')}</p>
    </div>
  );
}

async function kill(app: App, taskId: string): Promise<Done> {
  const { problem } = await outcomeOf(() => app.calls.cancelJob({ taskId, force: true }, { timeoutMs: KILL_TIMEOUT_MS }));
  return problem ? { problem } : { words: 'It is told to be killed.' };
}
