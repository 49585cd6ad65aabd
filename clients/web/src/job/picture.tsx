// The latest picture of a job: one that was just taken, else the one that was kept of its end.

import { type Signal, useComputed, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';

import type { App } from '../app.ts';
import { type Job, JobFile_Kind as Kind, Screenshot_Format as Format, type Screenshot, Screenshot_Source as Source } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { millis, timeOf, visible } from '../text.ts';
import { Dialog } from '../ui/dialog.tsx';
import { readFile, save } from './keeping.ts';
import { Panel } from './panel.tsx';
import type { TaskView } from './view.ts';

/** Larger than any picture that the service keeps. */
const EVIDENCE_MAX_BYTES = 16 * 1024 * 1024;

/** A picture and what it is of. */
export interface Picture { blob: Blob; name: string; words: string }

export function pictureOf(taskId: string, shot: Screenshot): Picture {
  const jpeg = shot.format === Format.JPEG;
  const at = millis(shot.capturedAt);
  const from = shot.source === Source.WINDOW ? 'its window' : 'its page';
  const cut = shot.truncated ? ', the right or lower part is missing' : '';
  return {
    blob: new Blob([shot.image.slice()], { type: jpeg ? 'image/jpeg' : 'image/png' }),
    name: `${taskId}.${jpeg ? 'jpg' : 'png'}`,
    words: `Taken of ${from}${at === undefined ? '' : ` at ${timeOf(at)}`}, ${shot.width} \u00d7 ${shot.height}${cut}`,
  };
}

/** `taken` is what somebody took on this page. */
export function PicturePanel({ app, view, taken }: { app: App; view: TaskView; taken: Signal<Picture | undefined> }) {
  const kept = useSignal<Picture | undefined>(undefined);
  const problem = useSignal('');
  const name = useComputed(() => evidence(view.job.value));
  const wanted = name.value;
  useEffect(() => {
    if (wanted === undefined) return;
    const scope = new AbortController();
    void readFile(app.calls, view.taskId, wanted, wanted.endsWith('.png') ? 'image/png' : 'image/jpeg', scope.signal, () => {}).then((read) => {
      if (scope.signal.aborted) return;
      problem.value = read.problem ? `The last picture could not be read. ${read.problem.words}` : '';
      if (read.blob) kept.value = { blob: read.blob, name: wanted, words: 'What the page showed last, before the end' };
    });
    return () => scope.abort();
  }, [wanted]);
  const picture = taken.value ?? kept.value;
  if (!picture && problem.value === '') return null;
  return (
    <Panel name="picture" title="Picture" beside={picture && <button type="button" class="small" onClick={() => save(picture.blob, picture.name)}>Save picture</button>}>
      {problem.value !== '' && <p class="problem" role="alert">{visible(problem.value)}</p>}
      {picture && <Shown key={picture.words} picture={picture} />}
    </Panel>
  );
}

/** The picture that was kept of the end. */
function evidence(job: Job | undefined): string | undefined {
  return job?.files.find(({ kind, sizeBytes }) => kind === Kind.SCREENSHOT && sizeBytes <= EVIDENCE_MAX_BYTES)?.name;
}

/** Draws with the picture's own address for as long as it is shown, or says that it is none. */
export function Pictured({ picture, children }: { picture: Picture; children: (href: string) => ComponentChildren }) {
  const href = useSignal('');
  const broken = useSignal(false);
  useEffect(() => {
    const made = URL.createObjectURL(picture.blob);
    href.value = made;
    return () => URL.revokeObjectURL(made);
  }, [picture.blob]);
  if (broken.value) return <p class="problem" role="alert">This is no picture that a browser can show.</p>;
  if (href.value === '') return null;
  // The error of a picture does not rise by itself.
  return <div onErrorCapture={() => { broken.value = true; }}>{children(href.value)}</div>;
}

function Shown({ picture }: { picture: Picture }) {
  const isLarge = useSignal(false);
  return (
    <Pictured picture={picture}>{(href) => (
      <figure>
        <button type="button" class="enlarge" aria-label="Enlarge the picture" onClick={() => { isLarge.value = true; }}>
          <img src={href} alt={picture.words} />
        </button>
        <figcaption class="quiet">{picture.words}</figcaption>
        {isLarge.value && <Dialog title={picture.words} leave={() => { isLarge.value = false; }}><img src={href} alt={picture.words} /></Dialog>}
      </figure>
    )}</Pictured>
  );
}
