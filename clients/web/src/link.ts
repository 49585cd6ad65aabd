// A tab's end of the stream: finds its holder, keeps in touch with it, and finds another one when it dies.

import { holdLock, lockReleased } from './lock.ts';
import type { FromTab, Port, ToTab } from './protocol.ts';

export class Link {
  #port: Port | undefined;
  readonly #lock = holdLock('tab');

  constructor(private readonly token: () => string | undefined, private readonly heard: (message: ToTab) => void) {}

  /** Finds a holder and greets it. */
  open(): void {
    this.#use(this.#shared() ?? this.#own());
    addEventListener('pagehide', () => this.say({ kind: 'bye' }));
    // Back from the history, where no message reaches a page.
    addEventListener('pageshow', (event) => { if (event.persisted) this.#greet(); });
    addEventListener('online', () => this.say({ kind: 'wake' }));
    document.addEventListener('visibilitychange', () => {
      this.#sayWhetherSeen();
      if (document.visibilityState === 'visible') this.say({ kind: 'wake' });
    });
  }

  say(message: FromTab): void {
    this.#port?.postMessage(message);
  }

  #use(port: Port | Promise<Port>): void {
    void Promise.resolve(port).then((found) => {
      this.#port = found;
      found.onmessage = (event: MessageEvent) => this.#hear(found, event.data as ToTab);
      this.#greet();
    });
  }

  #greet(): void {
    void this.#lock.then((lock) => {
      this.say({ kind: 'hello', lock, token: this.token() });
      this.#sayWhetherSeen();
    });
  }

  #sayWhetherSeen(): void {
    this.say({ kind: 'seen', seen: document.visibilityState === 'visible' });
  }

  #hear(port: Port, message: ToTab): void {
    if (port !== this.#port) return;
    if (message.kind === 'welcome') {
      // A worker that crashed says nothing, and a page that goes on showing its last words would lie.
      void lockReleased(message.lock).then(() => {
        if (port === this.#port) this.#use(this.#shared() ?? this.#own());
      });
    }
    this.heard(message);
  }

  #shared(): Port | undefined {
    try {
      const worker = new SharedWorker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'comet-task-runner' });
      // Its script could not be loaded, as during a restart of the service: better a stream of one's own than none.
      worker.onerror = () => { if (this.#port === worker.port) this.#use(this.#own()); };
      return worker.port;
    } catch {
      // There is no such thing in this browser, or the page may not use it.
      return undefined;
    }
  }

  /** A stream of this tab's own. */
  async #own(): Promise<Port> {
    const { Hub } = await import('./hub.ts');
    const { port1, port2 } = new MessageChannel();
    new Hub(location.origin).attach(port1);
    return port2;
  }
}
