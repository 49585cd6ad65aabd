// Has the service look at what is being written, before anything is started: the last answer counts, and no other.

import { type ReadonlySignal, signal } from '@preact/signals';

import type { Calls } from '../client.ts';
import { problemOf } from '../problem.ts';
import { type Faults, faultsOf, requestOf } from './draft.ts';
import type { Draft } from './fields.ts';

/** As long as a pause between two words: while somebody writes, nothing is asked. */
export const PAUSE_MS = 350;
const TIMEOUT_MS = 10_000;

export class Validation {
  readonly #faults = signal<Faults>(new Map());
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asked: AbortController | undefined;

  constructor(private readonly calls: Calls) {}

  get faults(): ReadonlySignal<Faults> {
    return this.#faults;
  }

  /** Something else is written now. */
  look(draft: Draft): void {
    this.#drop();
    const { request, faults } = requestOf(draft);
    // What was wrong with a field that is being mended is not said any longer.
    if (faults.size > 0 || (draft.url ?? '').trim() === '') this.#faults.value = faults;
    else this.#timer = setTimeout(() => void this.#ask(request), PAUSE_MS);
  }

  /** What Execute itself answered, or nothing. */
  settle(faults: Faults): void {
    this.#drop();
    this.#faults.value = faults;
  }

  async #ask(request: ReturnType<typeof requestOf>['request']): Promise<void> {
    const asked = new AbortController();
    this.#asked = asked;
    try {
      await this.calls.execute({ ...request, validateOnly: true }, { signal: asked.signal, timeoutMs: TIMEOUT_MS });
      if (this.#asked === asked) this.#faults.value = new Map();
    } catch (error) {
      if (this.#asked !== asked) return;
      const problem = problemOf(error);
      // Without an answer nothing is known to be wrong; the connection is spoken of elsewhere.
      this.#faults.value = problem.code === 'refused' ? faultsOf(problem) : new Map();
    }
  }

  #drop(): void {
    clearTimeout(this.#timer);
    this.#asked?.abort();
    this.#asked = undefined;
  }
}
