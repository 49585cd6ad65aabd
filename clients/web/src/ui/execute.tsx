// Opens a URL as a task, with all that can be said about it.

import { useLayoutEffect } from 'preact/hooks';

import type { App } from '../app.ts';
import { type FieldName, FIELDS, GROUPS } from '../execute/fields.ts';
import { visible } from '../text.ts';
import { FieldInput } from './field.tsx';

export function ExecuteForm({ app }: { app: App }) {
  const { form } = app;
  useLayoutEffect(() => form.show(), []);
  const draft = form.draft.value;
  const shown = form.optionsShown;
  const faults = form.faults.value;
  const options = Object.entries(draft).filter(([name, text]) => name !== 'url' && text !== '').length;
  const submit = (event: Event) => {
    event.preventDefault();
    void form.submit();
  };

  const input = (name: FieldName) => (
    <FieldInput key={name} field={FIELDS[name]} value={draft[name] ?? ''} fault={faults.get(name) ?? ''} draft={draft} runner={app.store.runner.value}
      write={(text) => form.write(name, text)} />
  );
  const general = faults.get('') ?? '';
  return (
    <form class="card execute" noValidate aria-label="Open a task" onSubmit={submit}>
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
        {shown.value && options > 0 && <button type="button" class="small" onClick={() => form.dropOptions()}>Take all options back</button>}
      </div>
    </form>
  );
}
