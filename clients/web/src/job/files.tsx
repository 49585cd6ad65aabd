// What was kept of a job, each to be saved.

import { type Signal, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import type { App } from '../app.ts';
import { type JobFile, JobFile_Kind as Kind } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { millis, timeOf, visible } from '../text.ts';
import { readFile, save } from './keeping.ts';
import { bytes } from './measure.ts';
import { Panel } from './panel.tsx';
import type { TaskView } from './view.ts';

const KINDS: Record<Kind, string> = {
  [Kind.KIND_UNSPECIFIED]: 'File',
  [Kind.DOWNLOAD]: 'Download',
  [Kind.SCREENSHOT]: 'Last picture',
};

export function Files({ app, view }: { app: App; view: TaskView }) {
  /** The name of the one that is read now: a browser has few connections, and each file takes one. */
  const saving = useSignal<string | undefined>(undefined);
  const files = view.job.value?.files ?? [];
  if (files.length === 0) return null;
  return (
    <Panel name="files" title="Files" beside={<span class="quiet">Gone with the task</span>}>
      <ul>{files.map((file) => <File key={file.name} app={app} view={view} file={file} saving={saving} />)}</ul>
    </Panel>
  );
}

function File({ app, view, file, saving }: { app: App; view: TaskView; file: JobFile; saving: Signal<string | undefined> }) {
  const read = useSignal<number | undefined>(undefined);
  const said = useSignal('');
  const stop = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => stop.current?.abort(), []);
  const size = Number(file.sizeBytes);
  const get = async () => {
    if (saving.peek() !== undefined) return;
    saving.value = file.name;
    const scope = new AbortController();
    stop.current = scope;
    said.value = '';
    read.value = 0;
    const { blob, problem } = await readFile(app.calls, view.taskId, file.name, 'application/octet-stream', scope.signal, (count) => { read.value = count; });
    read.value = undefined;
    saving.value = undefined;
    if (scope.signal.aborted) said.value = 'Stopped.';
    else if (problem) said.value = problem.words;
    else {
      save(blob, file.name);
      said.value = 'Handed to the browser\u2019s downloads.';
    }
  };
  const kept = millis(file.keptAt);
  const busy = read.value !== undefined;
  return (
    <li>
      <div class="task-file">
        <bdi class="exact">{visible(file.name)}</bdi>
        <span class="quiet">
          {KINDS[file.kind] ?? 'File'}, {bytes(size)}{kept === undefined ? '' : `, ${timeOf(kept)}`}
        </span>
        {busy && <progress max={Math.max(1, size)} value={read.value} aria-label={`Reading ${visible(file.name)}`} />}
        <span role="status" class="said">{visible(said.value)}</span>
      </div>
      {busy
        ? <button type="button" class="small" onClick={() => stop.current?.abort()}>Stop</button>
        : <button type="button" class="small" aria-label={`Save ${visible(file.name)}`} aria-disabled={saving.value !== undefined} onClick={() => void get()}>Save</button>}
    </li>
  );
}
