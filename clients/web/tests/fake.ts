// A service that keeps the contract of WatchJobs over a log in memory, and breaks what a test wants broken.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { readFile } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { extname, join, normalize } from 'node:path';

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';

import {
  type ExecuteRequest, GetRunnerResponse_Scope as Scope, type Job, Job_Reason as Reason, Job_Status as Status, JobSchema, type SampleSchema, TaskRunner,
  type WatchJobsRequest, WatchJobsResponse_Kind as Kind, WatchJobsResponseSchema,
} from '../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { BadRequestSchema, ErrorInfoSchema } from '../src/gen/google/rpc/error_details_pb.ts';

export type Message = MessageInitShape<typeof WatchJobsResponseSchema>;
type Fields = MessageInitShape<typeof JobSchema>;

/** What the real service serves the page under. */
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TYPES: Record<string, string> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

interface Stream { send(message: Message): void; fail(error: ConnectError): void }

export class Fake {
  readonly tokens = new Set(['good']);
  /** What a token lets its bearer do, if not everything. */
  readonly scopes = new Map<string, Scope>();
  readonly codes = new Map<string, string>();
  readonly jobs = new Map<string, Job>();
  /** Each Execute as it came. */
  readonly executed: ExecuteRequest[] = [];
  /** Each Execute that was only to be checked and is right. */
  readonly validated: ExecuteRequest[] = [];
  /** Each WatchJobs as it came. */
  readonly watched: WatchJobsRequest[] = [];
  /** Jobs that somebody asked to cancel. */
  readonly cancelled: string[] = [];
  /** How many Executes are carried out and not answered. */
  unanswered = 0;
  /** What problems GetRunner tells. */
  problems: { what: string; remedy: string }[] = [];
  runnersMet = 0;
  /** How many times GetRunner fails before it is answered. */
  runnerFailures = 0;
  /** Calls beyond those of the list. */
  more: Partial<ServiceImpl<typeof TaskRunner>> = {};
  /** How often a call showed no good token. */
  refusals = 0;
  #log: { taskId: string; job: Job | undefined }[] = [];
  #store = 'a';
  #streams = new Set<Stream>();
  #sockets = new Set<Socket>();
  #server: Server | undefined;
  #waiting: (() => void)[] = [];
  #made = 0;

  constructor(private readonly dist?: string) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  port = 0;

  get openStreams(): number {
    return this.#streams.size;
  }

  async start(): Promise<this> {
    const calls = connectNodeAdapter({
      routes: (router) => router.service(TaskRunner, {
        watchJobs: (request, context) => this.#watch(request, context),
        execute: (request, context) => this.#execute(request, context),
        cancelJob: (request, context) => this.#cancel(request.taskId, context),
        getRunner: (_, context) => {
          const scope = this.meet(context);
          return { version: '1.2.3', host: 'here', browsers: [{ name: 'chromium', version: '156' }], ready: true, problems: this.problems, scope };
        },
        ...this.more,
      }),
      fallback: (request, response) => void this.#page(request as IncomingMessage, response as ServerResponse),
    });
    const server = createServer((request, response) => void calls(request, response));
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  /** Gone as after kill -9. What it remembers stays; `start` brings it back on the same port. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    this.cut();
    await closed;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Resolves when something of the fake is as wanted; looked at whenever something happens to it. */
  async until(what: string, holds: () => boolean, withinMs = 10_000): Promise<void> {
    const deadline = Date.now() + withinMs;
    while (!holds()) {
      const left = deadline - Date.now();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new Error(`${what} does not come true`)), Math.max(0, left)); });
      await Promise.race([new Promise<void>((resolve) => this.#waiting.push(resolve)), late]).finally(() => clearTimeout(timer));
    }
  }

  /** Lets `until` look again. */
  happened(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** The next revision of a job, as one more change; the first one makes it. */
  change(taskId: string, fields: Fields, deliver: 'tell' | 'lose' = 'tell'): Job {
    const known = this.jobs.get(taskId);
    const time = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 };
    // Without its type's name, so that the parts of `fields` are made messages too.
    const { $typeName: _, ...before } = known ?? { $typeName: '' };
    const job = create(JobSchema, {
      ...(known ? before : { url: 'http://example.test/', status: Status.CREATED, reason: Reason.ACCEPTED, createdAt: time }),
      ...fields, taskId, updatedAt: time, revision: (known?.revision ?? 0n) + 1n,
    } as Fields);
    this.jobs.set(taskId, job);
    this.#log.push({ taskId, job });
    if (deliver === 'tell') this.send({ kind: Kind.CHANGE, taskId, job, resumeToken: this.#position() });
    return job;
  }

  /** The changes of a job, the first one first. */
  history(taskId: string): Job[] {
    return this.#log.flatMap(({ taskId: id, job }) => (id === taskId && job ? [job] : []));
  }

  remove(taskId: string): void {
    this.jobs.delete(taskId);
    this.#log.push({ taskId, job: undefined });
    this.send({ kind: Kind.REMOVED, taskId, resumeToken: this.#position() });
  }

  sample(taskId: string, sample: MessageInitShape<typeof SampleSchema>): void {
    this.send({ kind: Kind.SAMPLE, samples: [{ taskId, sample }], resumeToken: this.#position() });
  }

  /** Another store: no token of before is good. */
  replaceStore(): void {
    this.#store += 'x';
    this.#log = [];
    this.jobs.clear();
  }

  /** No token of before is good, though nothing is lost. */
  forgetPositions(): void {
    this.#store += 'x';
  }

  drain(retryDelayMs: number): void {
    const retryDelay = { seconds: 0n, nanos: retryDelayMs * 1_000_000 };
    this.send({ kind: Kind.DRAINING, retryDelay, resumeToken: this.#position() });
    for (const stream of this.#streams) stream.fail(new ConnectError('draining', Code.Unavailable));
  }

  send(message: Message): void {
    for (const stream of this.#streams) stream.send(message);
  }

  taskId(): string {
    this.#made += 1;
    return `0190b0c0-0000-7000-8000-${String(this.#made).padStart(12, '0')}`;
  }

  #position(): string {
    return `${this.#store}:${this.#log.length}`;
  }

  /** Refuses who shows no good token. Gives the one that is shown. */
  admit(context: HandlerContext): string {
    const shown = context.requestHeader.get('authorization')?.replace('Bearer ', '') ?? '';
    if (this.tokens.has(shown)) return shown;
    this.refusals += 1;
    this.happened();
    throw new ConnectError('no valid token', Code.Unauthenticated, undefined, [
      { desc: ErrorInfoSchema, value: { reason: 'TOKEN_INVALID', domain: 'taskrunner.comet' } },
    ]);
  }

  /** Admits who asks what the runner is, and says what the token allows. */
  meet(context: HandlerContext): Scope {
    const token = this.admit(context);
    this.runnersMet += 1;
    this.happened();
    if (this.runnerFailures > 0) {
      this.runnerFailures -= 1;
      throw new ConnectError('the runner is out of reach', Code.Unavailable);
    }
    return this.scopes.get(token) ?? Scope.ADMIN;
  }

  async *#watch(request: WatchJobsRequest, context: HandlerContext): AsyncGenerator<Message> {
    this.admit(context);
    const queue: Message[] = [];
    let failed: ConnectError | undefined;
    let ring = () => {};
    const stream = {
      send: (message: Message) => { queue.push(message); ring(); },
      fail: (error: ConnectError) => { failed = error; ring(); },
    };
    queue.push(...this.#beginning(request.resumeToken));
    this.#streams.add(stream);
    this.watched.push(request);
    this.happened();
    context.signal.addEventListener('abort', () => ring());
    try {
      while (!context.signal.aborted) {
        while (queue.length > 0) yield queue.shift() as Message;
        if (failed) throw failed;
        await new Promise<void>((resolve) => {
          ring = resolve;
          if (context.signal.aborted || queue.length > 0 || failed) resolve();
        });
      }
    } finally {
      this.#streams.delete(stream);
      this.happened();
    }
  }

  #beginning(resumeToken: string): Message[] {
    const synced = { kind: Kind.SYNCED, resumeToken: this.#position() };
    const [store, position] = resumeToken.split(':');
    if (store === this.#store) {
      const missed = this.#log.slice(Number(position)).map(({ taskId, job }, at): Message => {
        const told = { taskId, resumeToken: `${this.#store}:${Number(position) + at + 1}` };
        return job ? { kind: Kind.CHANGE, job, ...told } : { kind: Kind.REMOVED, ...told };
      });
      return [...missed, synced];
    }
    const reset = resumeToken !== '';
    const snapshot = [...this.jobs.values()].map((job): Message => ({ kind: Kind.SNAPSHOT, taskId: job.taskId, job }));
    return [...snapshot, synced].map((message, at) => (at === 0 ? { ...message, reset } : message));
  }

  async #execute(request: ExecuteRequest, context: HandlerContext): Promise<{ taskId: string }> {
    this.admit(context);
    if (!/^https?:/.test(request.url)) {
      throw new ConnectError('url has the scheme of no web page', Code.InvalidArgument, undefined, [
        { desc: ErrorInfoSchema, value: { reason: 'URL_INVALID', domain: 'taskrunner.comet' } },
        { desc: BadRequestSchema, value: { fieldViolations: [{ field: 'url', description: 'the scheme must be http or https' }] } },
      ]);
    }
    if (request.validateOnly) {
      this.validated.push(request);
      this.happened();
      return { taskId: '' };
    }
    const again = this.executed.find(({ requestId }) => requestId === request.requestId) !== undefined;
    this.executed.push(request);
    const job = again ? undefined : this.change(this.taskId(), { url: request.url, labels: request.labels });
    this.happened();
    if (this.unanswered > 0) {
      this.unanswered -= 1;
      this.cut();
    }
    return { taskId: job?.taskId ?? '' };
  }

  #cancel(taskId: string, context: HandlerContext): { job: Job } {
    this.admit(context);
    this.cancelled.push(taskId);
    const job = this.change(taskId, { status: Status.STOPPING, reason: Reason.CANCEL_REQUESTED, cancelRequested: true });
    this.happened();
    return { job };
  }

  async #page(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'POST' && request.url === '/session') return this.#session(request, response);
    const path = request.url === '/' ? '/index.html' : normalize(request.url ?? '');
    try {
      if (this.dist === undefined) throw new Error('there are no pages here');
      const body = await readFile(join(this.dist, path));
      response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream', 'content-security-policy': POLICY, 'cache-control': 'no-cache' });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  }

  async #session(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const part of request) text += String(part);
    const { code } = JSON.parse(text) as { code: string };
    const token = this.codes.get(code);
    this.codes.delete(code);
    response.writeHead(token === undefined ? 403 : 200, { 'content-type': 'application/json' });
    const refusal = { code: 'permission_denied', message: 'the code was used', details: [{ debug: { reason: 'CODE_USED' } }] };
    response.end(JSON.stringify(token === undefined ? refusal : { token, expires_at: '2100-01-01T00:00:00Z' }));
  }
}
