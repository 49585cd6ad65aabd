// What is said back to a person: at most a few notices, of which those that went well leave by themselves.

import { type ReadonlySignal, signal } from '@preact/signals';

export interface Notice {
  number: number;
  words: string;
  tone: 'good' | 'bad' | 'live';
  /** Where to see more of it. */
  link?: { href: string; words: string };
}

/** More than these would cover the list; the oldest one makes room. */
const NOTICES_MAX = 4;
/** Time enough to read one line twice. */
const GOOD_MS = 8_000;

export class Notices {
  readonly #shown = signal<readonly Notice[]>([]);
  #said = 0;

  get shown(): ReadonlySignal<readonly Notice[]> {
    return this.#shown;
  }

  /** Says something, in the place of `instead` if that is still there. Gives its number. */
  say(tone: Notice['tone'], words: string, more: { link?: Notice['link']; instead?: number | undefined } = {}): number {
    const number = (this.#said += 1);
    const notice: Notice = { number, words, tone, ...(more.link && { link: more.link }) };
    const others = this.#shown.value.filter((one) => one.number !== more.instead);
    this.#shown.value = [...others, notice].slice(-NOTICES_MAX);
    if (tone === 'good') setTimeout(() => this.dismiss(number), GOOD_MS);
    return number;
  }

  dismiss(number: number | undefined): void {
    this.#shown.value = this.#shown.value.filter((one) => one.number !== number);
  }
}
