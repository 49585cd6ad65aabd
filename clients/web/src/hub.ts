// Holds the one stream and what it told, and fans it out to tabs. Lives in the shared worker, or in a tab that has none.

import { createGrpcWebTransport } from '@connectrpc/connect-web';

import { Acquaintance } from './acquaintance.ts';
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
  /** Those of them that somebody can see. */
  readonly #seen = new Set<Port>();
  readonly #logs: Logs;
  readonly #runner = new Acquaintance(() => this.#askRunner(), (runner) => this.#post({ kind: 'runner', runner }));
  readonly #lock = holdLock('stream');
  #connection: Connection = { state: 'connecting' };
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
      case 'seen':
        return this.#see(port, said.seen);
      case 'log':
        return said.taskId === undefined ? this.#logs.leave(port) : this.#logs.show(port, said.taskId, said.watched);
      case 'log again':
        return this.#logs.again(said.taskId);
    }
  }

  #forget(port: Port): void {
    this.#tabs.delete(port);
    this.#see(port, false);
    this.#logs.leave(port);
  }

  #see(port: Port, isSeen: boolean): void {
    if (isSeen) this.#seen.add(port);
    else this.#seen.delete(port);
    this.#runner.see(this.#seen.size > 0);
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
    const { known } = this.#runner;
    if (known) port.postMessage({ kind: 'runner', runner: known });
    if (this.#told) port.postMessage(this.#all());
  }

  #stand(connection: Connection): void {
    this.#connection = connection;
    this.#post({ kind: 'connection', connection });
    if (connection.state === 'token needed') this.#logs.halt();
    if (connection.state !== 'live') return this.#runner.disconnect();
    this.#runner.connect();
    this.#logs.wake();
  }

  async #askRunner(): Promise<GetRunnerResponse> {
    const token = this.#token;
    try {
      return await getRunner(this.#calls, token);
    } catch (error) {
      throw this.#noted(error, token);
    }
  }

  async *#readLog(...call: Parameters<OpenLog>): AsyncGenerator<ReadLogResponse> {
    const token = this.#token;
    try {
      yield* readLog(this.#calls, token, ...call);
    } catch (error) {
      throw this.#noted(error, token);
    }
  }

  /** The error of a call that showed `token`; when that is no longer good, another one is asked for. */
  #noted(error: unknown, token: string): unknown {
    if (problemOf(error).code === 'unauthenticated') this.#subscription.refuse(token);
    return error;
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
        this.#runner.change();
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
