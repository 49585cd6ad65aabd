// What is known of a job, and what was asked for it.

import { toJson } from '@bufbuild/protobuf';
import { useRef } from 'preact/hooks';

import type { App } from '../app.ts';
import { ExecuteRequestSchema } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { setOut, visible } from '../text.ts';
import { useKeptFocus } from '../ui/kept_focus.ts';
import { type Fact, factsOf } from './facts.ts';
import { Panel } from './panel.tsx';
import type { TaskView } from './view.ts';

export function Facts({ app, view }: { app: App; view: TaskView }) {
  const job = view.job.value;
  if (!job) return null;
  const labels = Object.entries(job.labels).sort(([one], [other]) => (one < other ? -1 : 1));
  return (
    <Panel name="known" title="What is known">
      <div class="task-facts">
        {factsOf(job, view.sample.value).map(({ title, facts }) => (
          <div key={title}>
            <h4>{title}</h4>
            <dl>{facts.map((fact) => <Line key={fact.term} fact={fact} />)}</dl>
          </div>
        ))}
        {labels.length > 0 && (
          <div>
            <h4>Labels</h4>
            <dl>{labels.map(([key, value]) => <Line key={key} fact={{ term: key, value }} />)}</dl>
          </div>
        )}
      </div>
      <Unread app={app} view={view} />
      <Asked view={view} />
    </Panel>
  );
}

function Line({ fact }: { fact: Fact }) {
  const lines = typeof fact.value === 'string' ? [fact.value] : fact.value;
  return (
    <>
      <dt>{visible(fact.term)}</dt>
      <dd class={fact.exact ? 'exact' : ''}>
        {lines.map((line) => <div dir="auto" key={line}>{visible(line)}</div>)}
      </dd>
    </>
  );
}

/** It is read anew with each connection: while there is none, the page's head says so. */
function Unread({ app, view }: { app: App; view: TaskView }) {
  const problem = view.problem.value;
  const line = useRef<HTMLParagraphElement>(null);
  useKeptFocus(line, () => document.getElementById('heading'));
  if (problem === '' || app.store.connection.value.state !== 'live') return null;
  const what = view.request.value ? 'The task could not be read anew.' : 'What was asked for it could not be read.';
  return (
    <p ref={line} class="problem" role="alert">
      {what} {visible(problem)}{' '}
      <button type="button" class="small" onClick={() => void view.load()}>Try again</button>
    </p>
  );
}

/** An Execute of it runs the same again. */
function Asked({ view }: { view: TaskView }) {
  const request = view.request.value;
  if (!request) return null;
  return (
    <details class="asked">
      <summary>What was asked</summary>
      <pre tabIndex={0} aria-label="What was asked, as JSON">{visible(JSON.stringify(toJson(ExecuteRequestSchema, request), undefined, 2))}</pre>
    </details>
  );
}

/** What the page gave with its report. */
export function Result({ view }: { view: TaskView }) {
  const result = view.job.value?.callback?.result ?? '';
  if (result === '') return null;
  return (
    <Panel name="result" title="Result">
      <pre dir="auto" tabIndex={0} aria-label="The result, as JSON">{visible(setOut(result))}</pre>
    </Panel>
  );
}
