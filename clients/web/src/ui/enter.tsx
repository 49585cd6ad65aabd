// How to get in: with a link or a token.

import { useSignal } from '@preact/signals';

import type { App } from '../app.ts';

export function Enter({ app }: { app: App }) {
  const text = useSignal('');
  const problem = app.entryProblem.value;
  const submit = (event: Event) => {
    event.preventDefault();
    void app.enter(text.value).then(() => { text.value = ''; });
  };
  return (
    <section class="enter" aria-labelledby="enter-title">
      <h2 id="enter-title">This page needs a token</h2>
      <p>On the machine of the service, run</p>
      <pre><code>comet-task-runner token --link</code></pre>
      <p>and open the link that it prints, or paste it here. A link works once, within ten minutes; this browser then stays
        signed in. An API token does as well.</p>
      <form onSubmit={submit}>
        <label for="entry">Link or token</label>
        <div class="line">
          <input id="entry" type="password" autocomplete="off" spellcheck={false} required value={text}
            aria-invalid={problem !== ''} aria-describedby="entry-problem"
            onInput={(event) => { text.value = event.currentTarget.value; }} />
          <button type="submit">Enter</button>
        </div>
        <p id="entry-problem" class="problem" role="alert">{problem}</p>
      </form>
    </section>
  );
}
