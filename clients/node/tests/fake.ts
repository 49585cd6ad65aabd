// A service that follows a script, over real connections that a test can cut.

import { once } from 'node:events';
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';

import { JobSchema, TaskRunner, WatchJobResponse_Kind as Kind, WatchJobResponseSchema } from '../src/gen/comet/taskrunner/v1/task_runner_pb.js';
import { ErrorInfoSchema, RetryInfoSchema } from '../src/gen/google/rpc/error_details_pb.js';
import { Runner } from '../src/index.js';

/** Longest wait for anything that is said to happen at once. */
export const SOON_MS = 10_000;

export class Fake {
  readonly #server: Http2Server;
  readonly sessions = new Set<ServerHttp2Session>();
  /** How many connections there have been. */
  sessionsMet = 0;
  /** Every call that came, by its name. */
  readonly calls: string[] = [];
  readonly #runners: Runner[] = [];

  constructor(script: Partial<ServiceImpl<typeof TaskRunner>>) {
    const note = connectNodeAdapter({ routes: (router) => void router.service(TaskRunner, { getRunner: () => ({}), ...script }) });
    this.#server = createServer({ settings: { maxConcurrentStreams: 256 } }, (request, response) => {
      this.calls.push(request.url.slice(request.url.lastIndexOf('/') + 1));
      note(request, response);
    });
    this.#server.on('session', (session) => {
      this.sessions.add(session);
      this.sessionsMet += 1;
      session.on('close', () => this.sessions.delete(session));
    });
  }

  async start(port = 0): Promise<this> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A runner on it, which is closed with it. */
  async runner(): Promise<Runner> {
    const runner = await Runner.connect({ server: `http://127.0.0.1:${this.port}`, token: 'good' });
    this.#runners.push(runner);
    return runner;
  }

  /** As when the service is killed: every connection is gone at once. */
  cut(): void {
    for (const session of this.sessions) session.destroy();
  }

  async stop(): Promise<void> {
    for (const runner of this.#runners) runner.close();
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

type WatchMessage = MessageInitShape<typeof WatchJobResponseSchema>;

export const change = (revision: bigint, more: WatchMessage = {}): WatchMessage => ({
  kind: Kind.CHANGE,
  job: create(JobSchema, { taskId: 't', revision }),
  revision,
  resumeToken: `after ${revision}`,
  ...more,
});
export const snapshot = (revision: bigint, more: WatchMessage = {}): WatchMessage => change(revision, { kind: Kind.SNAPSHOT, ...more });
export const last = (revision: bigint): WatchMessage => change(revision, { final: true });

/** An error as the service makes it. */
export function refusal(code: Code, reason: string, retryDelayMs?: number): ConnectError {
  const details = [{ desc: ErrorInfoSchema, value: { reason, domain: 'taskrunner.comet' } }];
  const retry = retryDelayMs === undefined ? [] : [{ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(retryDelayMs) } }];
  return new ConnectError('no', code, undefined, [...details, ...retry]);
}

/** An error as a cut connection makes it. */
export const cutOff = () => new ConnectError('gone', Code.Unavailable);

/** Resolves once the reader of a stream has left it. */
export function left(context: HandlerContext): Promise<void> {
  return new Promise((resolve) => {
    if (context.signal.aborted) return resolve();
    context.signal.addEventListener('abort', () => resolve());
  });
}

/** What `promise` gives, unless it takes longer than anything should. */
export async function soon<T>(promise: Promise<T>, what: string, withinMs = SOON_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} does not come`)), withinMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Everything that a stream tells, to its end. */
export async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const told: T[] = [];
  for await (const one of stream) told.push(one);
  return told;
}
