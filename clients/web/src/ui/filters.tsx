// What of the list is shown: by status, by label, by text. All of it stands in the address, to be shared.

import { useSignal } from '@preact/signals';

import type { App } from '../app.ts';
import { Job_Status as Status } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';
import { type Asked, askedIn, labelIn, narrows, queryOf, STATUSES } from '../list/asked.ts';
import { askList, listQuery } from '../route.ts';
import { lookOfStatus } from '../statuses.ts';
import { visible } from '../text.ts';
import { Icon } from './icon.tsx';
import { Mark } from './mark.tsx';

/** Changes some of what is asked. */
export function refine(change: Partial<Asked>): void {
  askList(queryOf({ ...askedIn(listQuery.peek()), ...change }));
}

export function withLabel(key: string, value: string): void {
  refine({ labels: new Map([...askedIn(listQuery.peek()).labels, [key, value]]) });
}

export function Filters({ app }: { app: App }) {
  const asked = askedIn(listQuery.value);
  void app.store.arranged.value;
  const { size, view } = app.store;
  return (
    <div class="filters">
      <h2 id="heading" tabIndex={-1}>Tasks</h2>
      <p class="count" role="status">{narrows(asked) ? `${view.length} of ${size}` : size}</p>
      <Statuses app={app} asked={asked} />
      <div class="looks">
        <label class="look"><span class="unseen">Text in address, title, message or label</span><Icon of="search" />
          <input id="look" type="search" placeholder="Filter  ( / )" autocomplete="off" spellcheck={false} value={asked.text}
            onInput={(event) => refine({ text: event.currentTarget.value })} />
        </label>
        <Labels app={app} asked={asked} />
      </div>
    </div>
  );
}

function Statuses({ app, asked }: { app: App; asked: Asked }) {
  const counts = app.store.counts.value;
  const turn = (status: Status) => {
    const statuses = new Set(asked.statuses);
    if (!statuses.delete(status)) statuses.add(status);
    refine({ statuses });
  };
  return (
    <div class="statuses" role="group" aria-label="Only tasks that are">
      {STATUSES.filter((status) => (counts.get(status) ?? 0) > 0 || asked.statuses.has(status)).map((status) => {
        const look = lookOfStatus(status);
        return (
          <button type="button" key={status} class={`chip ${look.tone}`} aria-pressed={asked.statuses.has(status)} onClick={() => turn(status)}>
            <Mark look={look} /> {look.word} <span class="number">{counts.get(status) ?? 0}</span>
          </button>
        );
      })}
    </div>
  );
}

/** Labels that are offered: those of the newest tasks; more would be no help. */
const OFFERED_MAX = 50;

function Labels({ app, asked }: { app: App; asked: Asked }) {
  const text = useSignal('');
  const offered = useSignal<string[]>([]);
  const isWrong = useSignal(false);
  const offer = () => {
    const labels = new Set<string>();
    for (const { job } of app.store.rows()) {
      for (const [key, value] of Object.entries(job.peek().labels)) labels.add(`${key}=${value}`);
      if (labels.size >= OFFERED_MAX) break;
    }
    offered.value = [...labels].sort();
  };
  const add = (event: Event) => {
    event.preventDefault();
    const pair = labelIn(text.value);
    isWrong.value = pair === undefined && text.value !== '';
    if (!pair) return;
    withLabel(...pair);
    text.value = '';
  };
  const drop = (key: string) => refine({ labels: new Map([...asked.labels].filter(([one]) => one !== key)) });
  return (
    <>
      <form class="label-form" onSubmit={add}>
        <label class="unseen" for="label">Only tasks with the label</label>
        <input id="label" list="labels" placeholder="Label key=value" autocomplete="off" spellcheck={false} value={text} aria-invalid={isWrong.value}
          aria-describedby="label-problem" onFocus={offer} onInput={(event) => { text.value = event.currentTarget.value; isWrong.value = false; }} />
        <datalist id="labels">{offered.value.map((label) => <option key={label} value={label} />)}</datalist>
        <span id="label-problem" class="problem" role="alert">{isWrong.value ? 'Write key=value.' : ''}</span>
      </form>
      {[...asked.labels].map(([key, value]) => (
        <button type="button" key={key} class="chip" aria-label={`No longer only ${key}=${value}`} onClick={() => drop(key)}>
          <bdi>{visible(`${key}=${value}`)}</bdi> <Icon of="cancel" />
        </button>
      ))}
      {narrows(asked) && <button type="button" class="plain" onClick={() => refine({ statuses: new Set(), labels: new Map(), text: '' })}>Show all</button>}
    </>
  );
}
