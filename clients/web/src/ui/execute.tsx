// Opens a URL as a task.

import { useSignal } from '@preact/signals';

import type { App } from '../app.ts';
import type { Problem } from '../problem.ts';
import { visible } from '../text.ts';

export function ExecuteForm({ app }: { app: App }) {
  const url = useSignal('');
  const busy = useSignal(false);
  const problem = useSignal('');
  const note = useSignal('');

  const submit = async (event: Event) => {
    event.preventDefault();
    // Enter in the field comes here even while the button is disabled.
    if (busy.value) return;
    const wanted = url.value.trim();
    busy.value = true;
    problem.value = '';
    const failed = await app.execute(wanted, (cut) => { note.value = `${cut.words} Trying again\u2026`; });
    busy.value = false;
    note.value = '';
    if (failed) problem.value = wordsOf(failed);
    else if (url.value.trim() === wanted) url.value = '';
  };

  return (
    <form class="execute" noValidate onSubmit={(event) => void submit(event)}>
      <label for="url">Address to open</label>
      <div class="line">
        <input id="url" type="url" inputMode="url" placeholder="https://" autocomplete="off" spellcheck={false} autofocus
          value={url} aria-invalid={problem.value !== ''} aria-describedby="url-problem"
          onInput={(event) => { url.value = event.currentTarget.value; problem.value = ''; }} />
        <button type="submit" disabled={busy.value}>{busy.value ? 'Opening\u2026' : 'Execute'}</button>
      </div>
      <p id="url-problem" class="problem" role="alert">{visible(problem.value)}</p>
      {note.value !== '' && <p class="note" role="status">{note.value}</p>}
    </form>
  );
}

function wordsOf(problem: Problem): string {
  const fault = problem.faults.find(({ field }) => field === 'url') ?? problem.faults[0];
  return fault ? fault.description : problem.words;
}
