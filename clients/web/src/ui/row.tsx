// One job: how it stands, why, and what can be done about it.

import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { useSignal } from '@preact/signals';

import { cancel as cancelTask } from '../actions.ts';
import type { App } from '../app.ts';
import { now } from '../clock.ts';
import { type Job, Job_Status as Status, type Sample } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { messageOf, reasonOf } from '../reasons.ts';
import { lookOf } from '../statuses.ts';
import type { Row } from '../store.ts';
import { growing, linkFor, setOut, span, visible } from '../text.ts';
import { Mark } from './mark.tsx';

export function JobRow({ app, row }: { app: App; row: Row }) {
  const job = row.job.value;
  const look = lookOf(job);
  const message = messageOf(job);
  return (
    <li class={`job ${look.tone}`} data-task={job.taskId} data-revision={String(job.revision)}>
      <Mark look={look} />
      <div class="what">
        <p class="head"><strong class={`status ${look.tone}`}>{look.word}</strong> <Address url={job.url} /></p>
        <p class="why">{visible(reasonOf(job))}</p>
        {message !== '' && <p class="message" dir="auto">{visible(message)}</p>}
        <Progress job={job} row={row} />
        {job.callback && job.callback.result !== '' && <Result text={job.callback.result} />}
        <p class="facts"><Times job={job} /><Reading job={job} row={row} /><Queue job={job} row={row} /></p>
      </div>
      {!job.done && <Cancel app={app} job={job} />}
    </li>
  );
}

function Address({ url }: { url: string }) {
  const href = linkFor(url);
  const text = <bdi>{visible(url)}</bdi>;
  return href === undefined
    ? <span class="url">{text}</span>
    : <a class="url" href={href} target="_blank" rel="noreferrer noopener">{text}</a>;
}

function Result({ text }: { text: string }) {
  return (
    <details class="result">
      <summary>Result</summary>
      <pre dir="auto">{visible(setOut(text))}</pre>
    </details>
  );
}

function Times({ job }: { job: Job }) {
  const started = millis(job.startedAt);
  const finished = millis(job.finishedAt);
  const created = millis(job.createdAt) ?? 0;
  if (finished !== undefined) {
    const whole = started === undefined ? '' : `, took ${span(finished - started)}`;
    return <span>{timeOf(started ?? created)}{whole}</span>;
  }
  // The service's clock may be ahead of this one.
  const passed = growing(now.value - (started ?? created));
  return <span>{started === undefined ? `accepted ${timeOf(created)}, waits for ${passed}` : `started ${timeOf(started)}, runs for ${passed}`}</span>;
}

function Progress({ job, row }: { job: Job; row: Row }) {
  const sample = row.sample.value;
  if (job.done || sample?.progress === undefined) return null;
  const says = sample.progressMessage === '' ? '' : visible(sample.progressMessage);
  return (
    <p class="progress">
      <progress max={100} value={sample.progress} aria-label="Progress" />
      <span>{sample.progress} %</span> {says !== '' && <bdi>{says}</bdi>}
    </p>
  );
}

function Reading({ job, row }: { job: Job; row: Row }) {
  const info = row.sample.value?.processInfo;
  if (!job.isProcessAlive || !info) return null;
  const cpu = info.cpuPercent === undefined ? '' : `CPU ${Math.round(info.cpuPercent)} %, `;
  return <span>{cpu}{Math.round(info.memoryMb)} MiB</span>;
}

function Queue({ job, row }: { job: Job; row: Row }) {
  const sample: Sample | undefined = row.sample.value;
  if (job.status !== Status.CREATED || sample?.queuePosition === undefined) return null;
  return <span>{sample.queuePosition === 1 ? 'next in the queue' : `number ${sample.queuePosition} in the queue`}</span>;
}

function Cancel({ app, job }: { app: App; job: Job }) {
  const asked = useSignal(false);
  const problem = useSignal('');
  const stopping = job.status === Status.STOPPING || job.cancelRequested || asked.value;
  const cancel = async () => {
    asked.value = true;
    problem.value = '';
    const { problem: failed } = await cancelTask(app.calls, job.taskId);
    if (!failed) return;
    asked.value = false;
    problem.value = failed.words;
  };
  return (
    <div class="act">
      <button type="button" disabled={stopping} aria-label={stopping ? `Stopping ${job.url}` : `Cancel ${job.url}`} onClick={() => void cancel()}>
        {stopping ? 'Stopping\u2026' : 'Cancel'}
      </button>
      {problem.value !== '' && <p class="problem" role="alert">{visible(problem.value)}</p>}
    </div>
  );
}

function millis(time: Timestamp | undefined): number | undefined {
  return time && Number(time.seconds) * 1000 + time.nanos / 1e6;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });

/** The time of day, with the day when it is not today. */
function timeOf(ms: number): string {
  const date = new Date(ms);
  const today = date.toDateString() === new Date().toDateString();
  return today ? TIME.format(date) : `${DAY.format(date)}, ${TIME.format(date)}`;
}
