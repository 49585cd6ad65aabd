// A signal for one piece of work, which leaves nothing behind on the signals that it heeds.

import { setMaxListeners } from 'node:events';

export class Scope {
  readonly #controller = new AbortController();
  readonly #heeded: readonly AbortSignal[];

  /** Falls with the first of the given signals. */
  constructor(...heeded: (AbortSignal | undefined)[]) {
    this.#heeded = heeded.filter((signal) => signal !== undefined);
    for (const signal of this.#heeded) {
      // A hundred calls under one signal are no leak, of which Node.js would warn after ten.
      setMaxListeners(0, signal);
      if (signal.aborted) this.cut(signal.reason);
      else signal.addEventListener('abort', this.#heed, { once: true });
    }
  }

  readonly #heed = (event: Event) => this.cut((event.target as AbortSignal).reason);

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends what runs under the signal. */
  cut(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** The work is done: ends what is left of it. A stream does not end by itself when its reader stops reading. */
  leave(): void {
    for (const signal of this.#heeded) signal.removeEventListener('abort', this.#heed);
    this.#controller.abort();
  }
}
