// What a job's own page asks of a service: its history, its log, its files and its picture, over what the fake remembers.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';

import {
  type ExecuteRequest, FocusWindowResponse_Outcome as Outcome, type Job, type JobSchema, LogEntry_Level as Level, LogEntry_Source as Source,
  type ReadFileRequest, type ReadLogRequest, type ReadLogResponseSchema, type SampleSchema, Screenshot_Format as Format,
  Screenshot_Source as From, type WatchJobRequest, WatchJobResponse_Kind as Kind, type WatchJobResponseSchema,
} from '../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { ErrorInfoSchema } from '../src/gen/google/rpc/error_details_pb.ts';
import type { Fake } from './fake.ts';

interface Entry { text: string; source?: Source; level?: Level; url?: string; line?: number }
interface Numbered extends Entry { number: bigint; saidAt: { seconds: bigint; nanos: number } }
type Told = MessageInitShape<typeof ReadLogResponseSchema>;

/** The bytes of a PNG of one pixel. */
export const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

export class JobFake {
  /** Each call as it came, such as "WatchJob". */
  readonly called: string[] = [];
  readonly logsRead: ReadLogRequest[] = [];
  readonly filesRead: ReadFileRequest[] = [];
  /** Streams that are open now. */
  openWatches = 0;
  openLogs = 0;
  /** Jobs that are not in the list any more, by their changes. */
  readonly old = new Map<string, Job[]>();
  /** From this revision on, WatchJob tells nothing of a finished job. */
  untold = Infinity;
  readonly files = new Map<string, Buffer>();
  /** After so many bytes of a file the connection is cut, once. */
  cutAfter: number | undefined;
  /** Why a picture cannot be taken. */
  captureProblem: { code: Code; reason: string; words: string } | undefined;
  focusOutcome = Outcome.FOCUSED;
  sample: MessageInitShape<typeof SampleSchema> | undefined;
  readonly #logs = new Map<string, { entries: Numbered[]; first: number; ended: boolean; rings: Set<() => void> }>();

  constructor(private readonly fake: Fake) {
    Object.assign(fake.more, {
      getStatus: ({ taskId }: { taskId: string }, context: HandlerContext) => {
        this.#call('GetStatus', context);
        const job = this.#changes(taskId).at(-1);
        if (!job) throw notFound(taskId);
        return { job, ...(this.sample && !job.done && { sample: this.sample }), request: { url: job.url, browser: 'chromium', labels: job.labels } };
      },
      watchJob: (request: WatchJobRequest, context: HandlerContext) => this.#watch(request, context),
      readLog: (request: ReadLogRequest, context: HandlerContext) => this.#read(request, context),
      readFile: (request: ReadFileRequest, context: HandlerContext) => this.#file(request, context),
      captureScreenshot: (_: unknown, context: HandlerContext) => {
        this.#call('CaptureScreenshot', context);
        if (this.captureProblem) throw problem(this.captureProblem.code, this.captureProblem.reason, this.captureProblem.words);
        return { screenshot: { image: PIXEL, format: Format.PNG, width: 1280, height: 720, source: From.PAGE, capturedAt: now() } };
      },
      focusWindow: (_: unknown, context: HandlerContext) => {
        this.#call('FocusWindow', context);
        return { outcome: this.focusOutcome };
      },
      execute: (request: ExecuteRequest, context: HandlerContext) => {
        this.#call('Execute', context);
        const taskId = fake.taskId();
        fake.executed.push(request);
        return { taskId, job: fake.change(taskId, { url: request.url }) };
      },
    });
  }

  /** The browser of a job says something. */
  say(taskId: string, ...entries: Entry[]): void {
    const log = this.#log(taskId);
    for (const entry of entries) {
      log.entries.push({ source: Source.CONSOLE, level: Level.INFO, saidAt: now(), ...entry, number: BigInt(log.first + log.entries.length) });
    }
    this.#ring(taskId);
  }

  /** Entries up to this number are gone. */
  drop(taskId: string, upTo: number): void {
    const log = this.#log(taskId);
    log.entries.splice(0, upTo - log.first + 1);
    log.first = upTo + 1;
  }

  /** The log is lost, and begins anew, for whoever comes back. */
  lose(taskId: string): void {
    Object.assign(this.#log(taskId), { entries: [], first: 1 });
  }

  endLog(taskId: string): void {
    this.#log(taskId).ended = true;
    this.#ring(taskId);
  }

  #log(taskId: string) {
    const log = this.#logs.get(taskId) ?? { entries: [] as Numbered[], first: 1, ended: false, rings: new Set<() => void>() };
    this.#logs.set(taskId, log);
    return log;
  }

  #ring(taskId: string): void {
    for (const ring of this.#log(taskId).rings) ring();
  }

  #changes(taskId: string): Job[] {
    return this.old.get(taskId) ?? (this.fake.jobs.has(taskId) ? this.fake.history(taskId) : []);
  }

  #call(name: string, context: HandlerContext): void {
    this.fake.admit(context);
    this.called.push(name);
    this.fake.happened();
  }

  async *#watch(request: WatchJobRequest, context: HandlerContext): AsyncGenerator<MessageInitShape<typeof WatchJobResponseSchema>> {
    this.#call('WatchJob', context);
    if (!request.fromStart) throw new ConnectError('the page asks for the whole history', Code.InvalidArgument);
    const changes = this.#changes(request.taskId);
    if (changes.length === 0) throw notFound(request.taskId);
    this.openWatches += 1;
    try {
      for (const job of changes.filter(({ revision }) => revision > BigInt(request.resumeToken || 0) && Number(revision) < this.untold)) {
        yield { kind: Kind.CHANGE, job: job as MessageInitShape<typeof JobSchema>, revision: job.revision, resumeToken: String(job.revision) };
      }
      if (!changes.at(-1)?.done) await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve()));
    } finally {
      this.openWatches -= 1;
      this.fake.happened();
    }
  }

  async *#read(request: ReadLogRequest, context: HandlerContext): AsyncGenerator<Told> {
    this.#call('ReadLog', context);
    const log = this.#log(request.taskId);
    this.logsRead.push(request);
    this.openLogs += 1;
    this.fake.happened();
    let ring = () => {};
    const ringing = () => ring();
    log.rings.add(ringing);
    context.signal.addEventListener('abort', ringing);
    let told = Number(request.afterNumber);
    const end = () => log.first + log.entries.length - 1;
    let reset = told > end();
    if (reset) told = 0;
    try {
      for (;;) {
        const entries = log.entries.filter(({ number }) => Number(number) > told);
        const droppedCount = BigInt(Math.max(0, log.first - 1 - told));
        // More may be said while this is on its way.
        told = end();
        if (entries.length > 0 || reset) yield { entries, lastNumber: BigInt(told), reset, droppedCount };
        reset = false;
        if (!request.follow || log.ended || context.signal.aborted) return;
        await new Promise<void>((resolve) => {
          ring = resolve;
          if (context.signal.aborted || end() > told || log.ended) resolve();
        });
      }
    } finally {
      log.rings.delete(ringing);
      this.openLogs -= 1;
      this.fake.happened();
    }
  }

  async *#file(request: ReadFileRequest, context: HandlerContext): AsyncGenerator<{ data: Uint8Array; offset: bigint; sizeBytes: bigint }> {
    this.#call('ReadFile', context);
    this.filesRead.push(request);
    const file = this.files.get(request.name);
    if (!file) throw problem(Code.NotFound, 'FILE_NOT_FOUND', `task ${request.taskId} has no file "${request.name}"`);
    for (let offset = Number(request.offset); offset < file.length; offset += 1024) {
      if (this.cutAfter !== undefined && offset >= this.cutAfter) {
        this.cutAfter = undefined;
        throw new ConnectError('the connection is cut', Code.Unavailable);
      }
      yield { data: file.subarray(offset, offset + 1024), offset: BigInt(offset), sizeBytes: BigInt(file.length) };
    }
  }
}


export function now(): { seconds: bigint; nanos: number } {
  const ms = Date.now();
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}

function notFound(taskId: string): ConnectError {
  return problem(Code.NotFound, 'TASK_NOT_FOUND', `there is no task ${taskId}`);
}

function problem(code: Code, reason: string, words: string): ConnectError {
  return new ConnectError(words, code, undefined, [{ desc: ErrorInfoSchema, value: { reason, domain: 'taskrunner.comet' } }]);
}
