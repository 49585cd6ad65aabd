// Holds the one stream and what it told, and fans it out to tabs. Lives in the shared worker, or in a tab that has none.

import { createGrpcWebTransport } from '@connectrpc/connect-web';

import { callsOver, getRunner, readLog, SINCE_MS, watchJobs } from './client.ts';
import type { GetRunnerResponse, ReadLogResponse } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import { type Effect, Jobs } from './jobs.ts';
import { Logs, type OpenLog } from './job/logs.ts';
import { holdLock, lockReleased } from './lock.ts';
import { problemOf } from './problem.ts';
import type { FromTab, Port, ToTab } from './protocol.ts';
import { type Connection, Subscription } from './stream.ts';

export class Hub {
  readonly #calls;
  readonly #jobs = new Jobs(SINCE_MS);
  readonly #subscription: Subscription;
  readonly #tabs = new Set<Port>();
  readonly #logs: Logs;
  readonly #lock = holdLock('stream');
  #connection: Connection = { state: 'connecting' };
  #runner: GetRunnerResponse | undefined;
  /** The token of the stream that is open. */
  #token = '';
  /** There has been a whole list to show. */
  #told = false;
  #running = false;

  constructor(baseUrl: string) {
    this.#calls = callsOver(createGrpcWebTransport({ baseUrl }));
    this.#logs = new Logs((...call) => this.#readLog(...call));
    this.#subscription = new Subscription(this.#jobs, {
      open: (token, resumeToken, signal) => {
        this.#token = token;
        return watchJobs(this.#calls, token, resumeToken, signal);
      },
      say: (connection) => this.#stand(connection),
      tell: (effect) => this.#tell(effect),
      // A worker's own console is one that nobody opens.
      complain: (words) => this.#post({ kind: 'fault', words }),
    });
  }

  /** A tab at the other end of `port`. */
  attach(port: Port): void {
    port.onmessage = (event: MessageEvent) => this.#hear(port, event.data as FromTab);
  }

  #hear(port: Port, said: FromTab): void {
    switch (said.kind) {
      case 'hello':
        this.#welcome(port, said.token);
        // A tab that crashes says no bye.
        lockReleased(said.lock).then(() => this.#forget(port));
        return;
      case 'bye':
        return this.#forget(port);
      case 'token':
        return this.#subscription.useToken(said.token);
      case 'refused':
        return this.#subscription.refuse(said.token);
      case 'wake':
        return this.#subscription.wake();
      case 'log':
        return said.taskId === undefined ? this.#logs.leave(port) : this.#logs.show(port, said.taskId, said.watched);
      case 'log again':
        return this.#logs.again(said.taskId);
    }
  }

  #forget(port: Port): void {
    this.#tabs.delete(port);
    this.#logs.leave(port);
  }

  #welcome(port: Port, token: string | undefined): void {
    if (token !== undefined) this.#subscription.offerToken(token);
    if (!this.#running) {
      this.#running = true;
      void this.#subscription.run(new AbortController().signal);
    }
    this.#tabs.add(port);
    void this.#lock.then((lock) => port.postMessage({ kind: 'welcome', lock }));
    port.postMessage({ kind: 'connection', connection: this.#connection });
    if (this.#runner) port.postMessage({ kind: 'runner', runner: this.#runner });
    if (this.#told) port.postMessage(this.#all());
  }

  #stand(connection: Connection): void {
    this.#connection = connection;
    this.#post({ kind: 'connection', connection });
    if (connection.state === 'token needed') this.#logs.halt();
    if (connection.state !== 'live') return;
    this.#logs.wake();
    void this.#meetRunner();
  }

  /** Once per connection: after a restart it may be another version. */
  async #meetRunner(): Promise<void> {
    try {
      this.#runner = await getRunner(this.#calls, this.#token);
      this.#post({ kind: 'runner', runner: this.#runner });
    } catch {
      // Only the footer lacks it. If the connection is cut, the stream says so.
    }
  }

  async *#readLog(...call: Parameters<OpenLog>): AsyncGenerator<ReadLogResponse> {
    const token = this.#token;
    try {
      yield* readLog(this.#calls, token, ...call);
    } catch (error) {
      if (problemOf(error).code === 'unauthenticated') this.#subscription.refuse(token);
      throw error;
    }
  }

  #tell(effect: Effect): void {
    switch (effect.kind) {
      case 'nothing':
      case 'hole':
        return;
      case 'all':
        this.#told = true;
        return this.#post(this.#all());
      case 'changed':
        this.#post(effect);
        if (effect.job.done) this.#tell(this.#jobs.trim());
        return;
      case 'removed':
        return this.#post({ ...effect, completeSinceMs: this.#jobs.completeSinceMs });
      case 'samples':
        return this.#post(effect);
    }
  }

  #all(): ToTab {
    return { kind: 'all', jobs: this.#jobs.all(), samples: this.#jobs.samples(), completeSinceMs: this.#jobs.completeSinceMs };
  }

  #post(message: ToTab): void {
    for (const tab of this.#tabs) tab.postMessage(message);
  }
}
