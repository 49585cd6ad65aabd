// One job in the list: how it stands, why, and for how long.

import type { App } from '../app.ts';
import { now } from '../clock.ts';
import { type Job, Job_Status as Status, type Sample } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { messageOf, queuedOf, reasonOf } from '../reasons.ts';
import { hrefOf } from '../route.ts';
import { lookOf } from '../statuses.ts';
import type { Row } from '../store.ts';
import { growing, millis, span, timeOf, visible } from '../text.ts';
import { withLabel } from './filters.tsx';
import { Mark } from './mark.tsx';
import { RowActions } from './row_actions.tsx';

export function JobCells({ app, row }: { app: App; row: Row }) {
  return (
    <>
      <Standing row={row} />
      <What row={row} />
      <Accepted row={row} />
      <Took row={row} />
      <RowActions app={app} row={row} />
    </>
  );
}

function Standing({ row }: { row: Row }) {
  const job = row.job.value;
  const look = lookOf(job);
  return (
    <div role="cell" class="standing">
      <Mark look={look} />
      <span><strong class={`status ${look.tone}`}>{look.word}</strong><small>{beside(job, row.sample.value)}</small></span>
    </div>
  );
}

/** What is small beside the status: its place in the queue, or what its processes take. */
function beside(job: Job, sample: Sample | undefined): string {
  if (job.status === Status.CREATED && sample?.queuePosition !== undefined) {
    return sample.queuePosition === 1 ? 'next in the queue' : `place ${sample.queuePosition} in the queue`;
  }
  const info = job.isProcessAlive ? sample?.processInfo : undefined;
  if (info) return `${info.cpuPercent === undefined ? '' : `CPU ${Math.round(info.cpuPercent)} %, `}${Math.round(info.memoryMb)} MiB`;
  return job.done && job.isProcessAlive ? 'browser kept open' : '';
}

function What({ row }: { row: Row }) {
  const job = row.job.value;
  const sample = row.sample.value;
  const title = visible(sample?.pageTitle ?? '');
  const url = visible(sample?.pageUrl || job.url);
  const labels = Object.entries(job.labels);
  return (
    <div role="cell" class="what">
      <p class="head">
        <a class="open" href={hrefOf(job.taskId)} title={visible(job.url)}><bdi>{title === '' ? url : title}</bdi></a>
        {title !== '' && <bdi class="url">{url}</bdi>}
        {labels.length > 0 && <span class="labels">{labels.map(([key, value]) => <Label key={key} name={key} value={value} />)}</span>}
      </p>
      <Why job={job} sample={sample} />
    </div>
  );
}

function Label({ name, value }: { name: string; value: string }) {
  const words = visible(`${name}=${value}`);
  return <button type="button" class="tag" title={`Only tasks with ${words}`} onClick={() => withLabel(name, value)}><bdi>{words}</bdi></button>;
}

function Why({ job, sample }: { job: Job; sample: Sample | undefined }) {
  if (!job.done && sample?.progress !== undefined) {
    return (
      <p class="why progress">
        <progress max={100} value={sample.progress} aria-label={`Progress of ${visible(job.url)}`} />
        <span>{sample.progress} %</span>{sample.progressMessage !== '' && <bdi class="message">{visible(sample.progressMessage)}</bdi>}
      </p>
    );
  }
  const queued = job.status === Status.CREATED && sample ? queuedOf(sample) : '';
  const message = messageOf(job);
  return (
    <p class="why" title={message === '' ? undefined : visible(message)}>
      {sample?.dialog && <strong class="status live">A dialog waits for an answer. </strong>}
      <span>{visible(reasonOf(job))}</span>{queued !== '' && <span> {visible(queued)}</span>}
      {message !== '' && <> <bdi class="message">{visible(message)}</bdi></>}
    </p>
  );
}

function Accepted({ row }: { row: Row }) {
  const created = millis(row.job.value.createdAt);
  return <div role="cell" class="accepted">{created === undefined ? '' : timeOf(created)}</div>;
}

function Took({ row }: { row: Row }) {
  const job = row.job.value;
  const started = millis(job.startedAt);
  const finished = millis(job.finishedAt);
  const from = started ?? millis(job.createdAt) ?? 0;
  if (finished !== undefined) return <div role="cell" class="took">{started === undefined ? <span title="Its browser never came up">–</span> : span(finished - started)}</div>;
  // The service's clock may be ahead of this one.
  return <div role="cell" class="took live">{growing(now.value - from)}<small>{started === undefined ? 'waiting' : 'so far'}</small></div>;
}
