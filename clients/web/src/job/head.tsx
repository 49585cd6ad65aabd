// How a job stands, why, what to do about it, and what it is at right now.

import { now } from '../clock.ts';
import { Dialog_Kind as Dialog, type Job, Job_Status as Status, type Sample } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { sentence } from '../problem.ts';
import { remedyOf } from '../remedies.ts';
import { messageOf, queuedOf, reasonOf } from '../reasons.ts';
import { lookOf } from '../statuses.ts';
import { growing, millis, span, timeOf, visible } from '../text.ts';
import { Mark } from '../ui/mark.tsx';
import { Address, Copied } from './panel.tsx';
import type { TaskView } from './view.ts';

export function Head({ view }: { view: TaskView }) {
  const job = view.job.value;
  if (!job) return null;
  const look = lookOf(job);
  // What a page says stays as it is.
  const message = job.callback?.message ? messageOf(job) : sentence(messageOf(job));
  const title = view.sample.value?.pageTitle ?? '';
  const remedy = remedyOf(job);
  return (
    <div class={`task-head ${look.tone}`} data-task={job.taskId} data-revision={String(job.revision)}>
      <div class="task-title">
        <Mark look={look} />
        <h2 id="heading" tabIndex={-1}><span class={`status ${look.tone}`}>{look.word}</span> <span class="times"><Times job={job} /></span></h2>
      </div>
      <p class="where">{title !== '' && <bdi class="page-title">{visible(title)}</bdi>} <Address url={job.url} /></p>
      <Copied text={job.taskId} what="the task id" />
      <p class="reason">{visible(reasonOf(job))}</p>
      {message !== '' && <p class="task-message" dir="auto">{visible(message)}</p>}
      {remedy !== '' && <p class="remedy"><Marked text={remedy} /></p>}
      <Now job={job} sample={view.sample.value} />
    </div>
  );
}

/** What stands between backticks is for a terminal. */
function Marked({ text }: { text: string }) {
  return <>{text.split('`').map((part, at) => (at % 2 === 1 ? <code key={part}>{part}</code> : part))}</>;
}

function Times({ job }: { job: Job }) {
  const started = millis(job.startedAt);
  const finished = millis(job.finishedAt);
  const from = started ?? millis(job.createdAt) ?? 0;
  if (finished !== undefined) return <>{started === undefined ? '' : `after ${span(finished - started)}, `}{timeOf(finished)}</>;
  return <>{started === undefined ? 'waits for' : 'for'} {growing(now.value - from)}</>;
}

/** Readings that matter while it is live: they are no changes, and gone with the next one. */
function Now({ job, sample }: { job: Job; sample: Sample | undefined }) {
  if (!sample) return null;
  const { progress, dialog, popupCount } = sample;
  return (
    <>
      {progress !== undefined && !job.done && (
        <p class="progress">
          <progress max={100} value={progress} aria-label="Progress" />
          <span>{progress} %</span> {sample.progressMessage !== '' && <bdi>{visible(sample.progressMessage)}</bdi>}
        </p>
      )}
      {job.status === Status.CREATED && sample.queuePosition !== undefined && (
        <p class="note">
          {sample.queuePosition === 1 ? 'Next in the queue.' : `Number ${sample.queuePosition} in the queue.`} {visible(queuedOf(sample))}
        </p>
      )}
      {dialog && (
        <p class="note dialog" role="status">
          {DIALOGS[dialog.kind] ?? 'A dialog stands open'}
          {dialog.message === '' ? '' : <>: <q dir="auto">{visible(dialog.message)}</q></>}. The page stands still until a person answers it in its window.
        </p>
      )}
      {popupCount > 0 && <p class="note">{popupCount === 1 ? 'One popup is open.' : `${popupCount} popups are open.`}</p>}
    </>
  );
}

const DIALOGS: Record<Dialog, string> = {
  [Dialog.KIND_UNSPECIFIED]: 'A dialog stands open',
  [Dialog.ALERT]: 'An alert stands open',
  [Dialog.CONFIRM]: 'A question stands open',
  [Dialog.PROMPT]: 'A question that wants a text stands open',
  [Dialog.BEFOREUNLOAD]: 'The question whether to leave the page stands open',
};
