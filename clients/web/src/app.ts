// The tab: its token, its link to the stream, its calls and what it shows, tied together.

import { createGrpcWebTransport } from '@connectrpc/connect-web';
import { effect, signal, untracked } from '@preact/signals';

import { bearer, type Calls, callsOver } from './client.ts';
import { Form } from './execute/form.ts';
import { Link } from './link.ts';
import { askedIn } from './list/asked.ts';
import { History } from './list/history.ts';
import { Notices } from './notices.ts';
import type { FromTab, ToTab } from './protocol.ts';
import { listQuery } from './route.ts';
import { buySession, dropToken, onTokenElsewhere, parsePasted, storedToken, storeToken, takeCode } from './session.ts';
import { Store } from './store.ts';

export class App {
  readonly store = new Store();
  readonly notices = new Notices();
  /** What somebody is writing, on whichever page it is gone on with. */
  readonly form: Form;
  /** Older tasks, on request. */
  readonly history: History;
  /** When the runner was last asked how busy it is: after so many changes. */
  readonly runnerAskedAt = { changes: 0 };
  /** Why the last link or token did not do. */
  readonly entryProblem = signal('');
  /** Each shows the token that there is; when it is refused, the page asks for another one. */
  readonly calls: Calls;
  readonly #listeners = new Set<(message: ToTab) => void>();
  readonly #link = new Link(storedToken, (message) => this.#hear(message));

  constructor() {
    const refused = (token: string) => this.#link.say({ kind: 'refused', token });
    this.calls = callsOver(createGrpcWebTransport({ baseUrl: location.origin, interceptors: [bearer(storedToken, refused)] }));
    this.form = new Form(this.calls, this.notices);
    this.history = new History(this.calls, this.store);
    effect(() => {
      const query = listQuery.value;
      untracked(() => this.#ask(query));
    });
  }

  /** Buys a session if the address has a code, then subscribes. */
  async open(): Promise<void> {
    onTokenElsewhere((token) => this.#link.say({ kind: 'token', token }));
    addEventListener('hashchange', () => void this.#redeemAddress());
    await this.#redeemAddress();
    this.#link.open();
  }

  /** Takes what somebody pasted: a link, or a token. */
  async enter(text: string): Promise<void> {
    const pasted = parsePasted(text);
    switch (pasted.kind) {
      case 'code':
        return this.#redeem(pasted.code);
      case 'token':
        return this.#takeToken(pasted.token);
      case 'nothing':
        this.entryProblem.value = 'This is neither a link with a code nor a token.';
    }
  }

  /** Hears, after the store, each message of the stream's holder, until the function that it gives is called. */
  listen(heard: (message: ToTab) => void): () => void {
    this.#listeners.add(heard);
    return () => this.#listeners.delete(heard);
  }

  /** To the holder of the stream. */
  say(message: FromTab): void {
    this.#link.say(message);
  }

  /** Tries again at once instead of at the end of the wait. */
  retry(): void {
    this.#link.say({ kind: 'wake' });
  }

  /** The list shows what its address asks for. */
  #ask(query: string): void {
    this.store.ask(askedIn(query));
    this.history.begin();
  }

  async #redeemAddress(): Promise<void> {
    const code = takeCode();
    if (code !== undefined) await this.#redeem(code);
  }

  async #redeem(code: string): Promise<void> {
    const bought = await buySession(code);
    if ('token' in bought) this.#takeToken(bought.token);
    else this.entryProblem.value = bought.problem;
  }

  #takeToken(token: string): void {
    this.entryProblem.value = '';
    storeToken(token);
    this.#link.say({ kind: 'token', token });
  }

  #hear(message: ToTab): void {
    this.store.apply(message);
    for (const listener of this.#listeners) listener(message);
    if (message.kind === 'fault') console.error(message.words);
    if (message.kind !== 'connection' || message.connection.state !== 'token needed') return;
    const { refused } = message.connection;
    if (refused === undefined) return;
    const token = storedToken();
    dropToken(refused);
    // Another tab got a new one while this was on its way.
    if (token !== undefined && token !== refused) this.#link.say({ kind: 'token', token });
    else if (this.entryProblem.value === '') this.entryProblem.value = 'The service does not, or no longer, accept this token.';
  }
}
