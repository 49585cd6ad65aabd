// What is being written into the form, and what came of it. Outlives the form on the screen, which goes with each step to
// another page.

import { batch, type ReadonlySignal, signal } from '@preact/signals';

import { open } from '../actions.ts';
import type { Calls } from '../client.ts';
import type { Notices } from '../notices.ts';
import type { Problem } from '../problem.ts';
import { hrefOf } from '../route.ts';
import { type Faults, faultsOf, requestOf } from './draft.ts';
import type { Draft, FieldName } from './fields.ts';
import { Validation } from './validation.ts';

export class Form {
  /** The fields beyond the address are shown. */
  readonly optionsShown = signal(false);
  readonly #draft = signal<Draft>({});
  readonly #validation: Validation;
  #isOnScreen = false;

  constructor(private readonly calls: Calls, private readonly notices: Notices) {
    this.#validation = new Validation(calls);
  }

  get draft(): ReadonlySignal<Draft> {
    return this.#draft;
  }

  get faults(): ReadonlySignal<Faults> {
    return this.#validation.faults;
  }

  /** It is on the screen until the function that it gives is called. */
  show(): () => void {
    this.#isOnScreen = true;
    return () => { this.#isOnScreen = false; };
  }

  write(name: FieldName, text: string): void {
    this.#draft.value = { ...this.#draft.value, [name]: text };
    this.#validation.look(this.#draft.value);
  }

  /** Only the address stays. */
  dropOptions(): void {
    this.#draft.value = { url: this.#draft.value.url ?? '' };
    this.#validation.look(this.#draft.value);
  }

  async submit(): Promise<void> {
    const sent = this.#draft.value;
    const { request, faults } = requestOf(sent);
    if (request.url === '') return this.#validation.settle(new Map([['url', 'Enter an address, such as https://example.org.']]));
    if (faults.size > 0) return this.#validation.settle(faults);
    // The field is free again at once: a browser takes its time to come up, and the next address need not wait for it.
    batch(() => {
      this.#draft.value = { ...sent, url: '' };
      this.#validation.settle(new Map());
    });
    let notice: number | undefined;
    const url = String(request.url);
    const done = await open(this.calls, request, (cut) => { notice = this.notices.say('live', `${url}: ${cut.words} Trying again\u2026`, { instead: notice }); });
    this.notices.dismiss(notice);
    if (done.problem) return this.#giveBack(url, done.problem);
    this.notices.say('good', done.words, { link: { href: hrefOf(done.taskId), words: 'See it' } });
  }

  /** Back into its field, to be mended; unless somebody is writing the next one there. */
  #giveBack(url: string, problem: Problem): void {
    const isFree = (this.#draft.value.url ?? '') === '';
    // Without a token there is no form, and there is nothing in it to be mended.
    const isTold = isFree && this.#isOnScreen && problem.code !== 'unauthenticated';
    if (!isTold) this.notices.say('bad', `${url}: ${problem.faults[0]?.description ?? problem.words}`);
    if (!isFree) return;
    this.#draft.value = { ...this.#draft.value, url };
    if (problem.code === 'unauthenticated') return;
    this.#validation.settle(faultsOf(problem));
    if ([...this.faults.value.keys()].some((name) => name !== 'url' && name !== '')) this.optionsShown.value = true;
  }
}
