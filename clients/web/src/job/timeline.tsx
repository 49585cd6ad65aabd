// The changes of a job, the earliest first, with the time between them.

import { useRef } from 'preact/hooks';

import type { Job } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { lookOf } from '../statuses.ts';
import { millis, timeOf, visible } from '../text.ts';
import { useKeptFocus } from '../ui/kept_focus.ts';
import { Mark } from '../ui/mark.tsx';
import { saidOf } from './changes.ts';
import { between, exact } from './measure.ts';
import { Panel } from './panel.tsx';
import type { TaskView } from './view.ts';

export function Timeline({ view }: { view: TaskView }) {
  const changes = view.changes.value;
  const problem = view.historyProblem.value;
  const line = useRef<HTMLParagraphElement>(null);
  useKeptFocus(line, () => document.getElementById('heading'));
  return (
    <Panel name="timeline" title="What happened">
      {changes.length === 0 && problem === '' && <p class="quiet">Reading its changes{'\u2026'}</p>}
      {problem !== '' && (
        <p ref={line} class="problem" role="alert">
          Its earlier changes could not be read. {visible(problem)}{' '}
          <button type="button" class="small" onClick={() => void view.load()}>Try again</button>
        </p>
      )}
      <ol class="changes">
        {changes.map((job, at) => <Change key={String(job.revision)} job={job} before={changes[at - 1]} />)}
      </ol>
    </Panel>
  );
}

function Change({ job, before }: { job: Job; before: Job | undefined }) {
  const gone = Number(job.revision - (before?.revision ?? 0n) - 1n);
  const { what, more } = saidOf(job, before);
  const at = millis(job.updatedAt) ?? 0;
  const look = lookOf(job);
  const turns = !before || before.status !== job.status;
  return (
    <>
      {gone > 0 && <li class="gone">{gone === 1 ? 'One change is not told any more.' : `${gone} changes are not told any more.`}</li>}
      <li data-revision={String(job.revision)}>
        <time dateTime={new Date(at).toISOString()} title={timeOf(at)}>{exact(at)}</time>
        <span class="between">{before ? between(at - (millis(before.updatedAt) ?? at)) : ''}</span>
        {turns ? <Mark look={look} /> : <span class="tick" aria-hidden="true" />}
        <div>
          {turns && <><strong class={`status ${look.tone}`}>{look.word}</strong> </>}
          <span dir="auto">{visible(what)}</span>
          {more.map((words) => <p class="quiet" dir="auto" key={words}>{visible(words)}</p>)}
        </div>
      </li>
    </>
  );
}
