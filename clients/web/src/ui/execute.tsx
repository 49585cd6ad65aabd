// Opens a URL as a task.

import { useSignal } from '@preact/signals';

import { open } from '../actions.ts';
import type { App } from '../app.ts';
import type { Problem } from '../problem.ts';
import { visible } from '../text.ts';

/** An address whose call was cut, and is being made again. */
interface Retried { url: string; words: string }

export function ExecuteForm({ app }: { app: App }) {
  const url = useSignal('');
  const problem = useSignal('');
  const retried = useSignal<Retried[]>([]);

  // The field is free again at once: a browser takes its time to come up, and the next address need not wait for it.
  const submit = async (event: Event) => {
    event.preventDefault();
    const wanted = url.value.trim();
    problem.value = '';
    if (wanted === '') {
      problem.value = 'Enter an address, such as https://example.org.';
      return;
    }
    url.value = '';
    let mine: Retried | undefined;
    const say = (next: Retried | undefined) => {
      retried.value = [...retried.value.filter((one) => one !== mine), ...(next ? [next] : [])];
      mine = next;
    };
    const { problem: failed } = await open(app.calls, { url: wanted }, (cut) => say({ url: wanted, words: `${cut.words} Trying again\u2026` }));
    say(undefined);
    if (!failed) return;
    // Back into the field, to be mended; unless somebody is writing the next one there.
    const taken = url.value !== '';
    if (!taken) url.value = wanted;
    problem.value = taken ? `${wanted}: ${wordsOf(failed)}` : wordsOf(failed);
  };

  return (
    <form class="execute" noValidate onSubmit={(event) => void submit(event)}>
      <label for="url">Address to open</label>
      <div class="line">
        <input id="url" type="url" inputMode="url" placeholder="https://" autocomplete="off" spellcheck={false} autofocus
          value={url} aria-invalid={problem.value !== ''} aria-describedby="url-problem"
          onInput={(event) => { url.value = event.currentTarget.value; problem.value = ''; }} />
        <button type="submit">Execute</button>
      </div>
      <p id="url-problem" class="problem" role="alert">{visible(problem.value)}</p>
      {retried.value.map((one) => <p class="note" role="status" key={one.url}>{visible(one.url)}: {one.words}</p>)}
    </form>
  );
}

function wordsOf(problem: Problem): string {
  const fault = problem.faults.find(({ field }) => field === 'url') ?? problem.faults[0];
  return fault ? fault.description : problem.words;
}
