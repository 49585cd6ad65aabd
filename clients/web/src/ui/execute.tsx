// Opens a URL as a task, with all that can be said about it.

import { batch, useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';

import { open } from '../actions.ts';
import type { App } from '../app.ts';
import { faultsOf, requestOf } from '../execute/draft.ts';
import { type Draft, type FieldName, FIELDS, GROUPS } from '../execute/fields.ts';
import { Validation } from '../execute/validation.ts';
import { hrefOf } from '../route.ts';
import { visible } from '../text.ts';
import { FieldInput } from './field.tsx';

export function ExecuteForm({ app }: { app: App }) {
  const draft = useSignal<Draft>({});
  const shown = useSignal(false);
  const validation = useMemo(() => new Validation(app.calls), []);
  const faults = validation.faults.value;
  const options = Object.entries(draft.value).filter(([name, text]) => name !== 'url' && text !== '').length;

  const write = (name: FieldName, text: string) => {
    draft.value = { ...draft.value, [name]: text };
    validation.look(draft.value);
  };

  const submit = async (event: Event) => {
    event.preventDefault();
    const sent = draft.value;
    const { request, faults: found } = requestOf(sent);
    if (request.url === '') return validation.settle(new Map([['url', 'Enter an address, such as https://example.org.']]));
    if (found.size > 0) return validation.settle(found);
    // The field is free again at once: a browser takes its time to come up, and the next address need not wait for it.
    batch(() => {
      draft.value = { ...sent, url: '' };
      validation.settle(new Map());
    });
    let notice: number | undefined;
    const url = String(request.url);
    const done = await open(app.calls, request, (cut) => { notice = app.notices.say('live', `${url}: ${cut.words} Trying again\u2026`, { instead: notice }); });
    app.notices.dismiss(notice);
    if (!done.problem) return void app.notices.say('good', done.words, { link: { href: hrefOf(done.taskId), words: 'See it' } });
    // Back into the field, to be mended; unless somebody is writing the next one there.
    if ((draft.value.url ?? '') !== '') return void app.notices.say('bad', `${url}: ${done.problem.faults[0]?.description ?? done.problem.words}`);
    draft.value = { ...draft.value, url };
    validation.settle(faultsOf(done.problem));
    if ([...validation.faults.value.keys()].some((name) => name !== 'url' && name !== '')) shown.value = true;
  };

  const input = (name: FieldName) => (
    <FieldInput key={name} field={FIELDS[name]} value={draft.value[name] ?? ''} fault={faults.get(name) ?? ''} draft={draft.value} runner={app.store.runner.value}
      write={(text) => write(name, text)} />
  );
  const general = faults.get('') ?? '';
  return (
    <form class="card execute" noValidate aria-label="Open a task" onSubmit={(event) => void submit(event)}>
      <div class="line">
        {input('url')}
        <button type="submit">Execute</button>
        <button type="button" class="quiet" aria-expanded={shown.value} aria-controls="options" onClick={() => { shown.value = !shown.value; }}>
          Options{options > 0 ? ` (${options})` : ''}
        </button>
      </div>
      <p class="problem" role="alert">{visible(general)}</p>
      <div id="options" hidden={!shown.value}>
        {shown.value && GROUPS.map(({ title, names }) => (
          <fieldset key={title}><legend>{title}</legend>{names.map(input)}</fieldset>
        ))}
        {shown.value && options > 0 && <button type="button" class="small" onClick={() => { draft.value = { url: draft.value.url ?? '' }; validation.look(draft.value); }}>Take all options back</button>}
      </div>
    </form>
  );
}
