// The calls of the contract, as a developer of Node.js expects them.

import { randomUUID } from 'node:crypto';

import type { DescMessage, MessageJsonType, MessageShape } from '@bufbuild/protobuf';

import * as v1 from './gen/comet/taskrunner/v1/task_runner_pb.js';
import { type Bounds, insist, type Unary } from './insist.js';
import { Link } from './link.js';
import { JobList, profilesOf } from './pages.js';
import { asked } from './plain.js';
import { readFile, readLog } from './read.js';
import { type ReachOptions, reachOf } from './reach.js';
import { Task } from './task.js';
import { type Change, type Samples, watchJob, watchJobs } from './watch.js';

/** Longer than a browser may take to come up, which Execute waits for. */
const EXECUTE_WITHIN_MS = 60_000;

/** A request of the contract as JSON, but for the fields that a method has as arguments of their own. */
type Asking<Json, Own extends keyof Json = never> = { [Field in Exclude<keyof Json, Own>]?: Json[Field] | undefined } & Bounds;

export type ExecuteOptions = Asking<v1.ExecuteRequestJson, 'url'>;
export type WatchOptions = Asking<v1.WatchJobRequestJson, 'taskId'> & Samples;
export type RunOptions = Omit<ExecuteOptions, 'validateOnly'> & Pick<WatchOptions, 'until' | 'heartbeatInterval' | 'samples'>;
export type Report = Asking<v1.CallbackRequestJson, 'taskId' | 'status'> & { status: 'DONE' | 'FAILED' | 'RUNNING' };
export type ListJobsOptions = Asking<v1.ListJobsRequestJson, 'pageToken'>;
export type WatchJobsOptions = Asking<v1.WatchJobsRequestJson> & Samples;
export type CancelOptions = Asking<v1.CancelJobRequestJson, 'taskId'>;
export type ListProfilesOptions = Asking<v1.ListProfilesRequestJson, 'pageToken'>;
export type RemoveProfileOptions = Asking<v1.RemoveProfileRequestJson, 'name'>;
export type ScreenshotOptions = Asking<v1.CaptureScreenshotRequestJson, 'taskId'>;
export type FocusOptions = Asking<v1.FocusWindowRequestJson, 'taskId'>;
export type TileOptions = Asking<v1.TileWindowsRequestJson>;
export type ReadFileOptions = Asking<v1.ReadFileRequestJson, 'taskId' | 'name'>;
export type ReadLogOptions = Asking<v1.ReadLogRequestJson, 'taskId'>;
export type ListWindowsOptions = Asking<v1.ListWindowsRequestJson>;

/** A service, and all that it can be asked. Calls go on by themselves over cuts and restarts of the service. */
export class Runner {
  readonly #link: Link;

  private constructor(link: Link) {
    this.#link = link;
  }

  /** Finds the service as the command line does, and makes sure that it answers and knows the token. It is not waited for
   * unless `retryForMs` says for how long. */
  static async connect({ signal, retryForMs = 0, ...reach }: ReachOptions & Bounds = {}): Promise<Runner> {
    const runner = new Runner(new Link(reachOf(reach, process.env)));
    try {
      await runner.getRunner({ signal, retryForMs });
      return runner;
    } catch (error) {
      runner.close();
      throw error;
    }
  }

  /** Ends every call that is under way, and no task. A program that has nothing else to do ends without this too. */
  close(): void {
    this.#link.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Opens a URL as a task at once, and gives the task to loop over or to wait for. */
  run(url: string, options: RunOptions = {}): Task {
    const { until, heartbeatInterval, samples, ...execute } = options;
    const watch = { until, heartbeatInterval, samples, signal: options.signal, retryForMs: options.retryForMs };
    return new Task(this, this.execute(url, execute), watch);
  }

  /** Opens a URL as a task. A call whose answer was lost is made again under the same request_id: there is one job. */
  async execute(url: string, options: ExecuteOptions = {}): Promise<v1.ExecuteResponse> {
    const { request, bounds } = parts(v1.ExecuteRequestSchema, { ...options, url, requestId: options.requestId || randomUUID() });
    return this.#ask({ call: (calls, call) => calls.execute(request, call), withinMs: EXECUTE_WITHIN_MS }, bounds);
  }

  /** Reads one job, its latest reading, and what was asked. */
  async status(taskId: string, bounds: Bounds = {}): Promise<v1.GetStatusResponse> {
    return this.#ask({ call: (calls, call) => calls.getStatus({ taskId }, call) }, bounds);
  }

  /** Every change of one job until its end: a snapshot first, or with `fromStart` each change from the first on. */
  watch(taskId: string, { samples, ...options }: WatchOptions = {}): AsyncGenerator<Change, void, undefined> {
    const { request, bounds } = parts(v1.WatchJobRequestSchema, { ...options, taskId });
    return watchJob(this.#link, request, { samples, ...bounds });
  }

  /** The job at its end. */
  async finished(taskId: string, options: WatchOptions = {}): Promise<v1.Job> {
    let last: v1.Job | undefined;
    for await (const { job } of this.watch(taskId, options)) last = job;
    if (!last) throw new TypeError('the watch began behind the last change, so it had nothing to tell');
    return last;
  }

  /** Reports how a task goes, on behalf of its page. */
  async report(taskId: string, report: Report): Promise<v1.CallbackResponse> {
    const { request, bounds } = parts(v1.CallbackRequestSchema, { ...report, taskId });
    return this.#ask({ call: (calls, call) => calls.callback(request, call) }, bounds);
  }

  /** The jobs there are, the newest first unless asked otherwise. */
  listJobs(options: ListJobsOptions = {}): JobList {
    const { request, bounds } = parts(v1.ListJobsRequestSchema, options);
    return new JobList((pageToken) => (
      this.#ask({ call: (calls, call) => calls.listJobs({ ...request, pageToken }, call) }, bounds)
    ));
  }

  /** The changes of many jobs on one stream: a SNAPSHOT of each, SYNCED, then every CHANGE, and REMOVED when one is
   * forgotten. It has no end of its own. A message with `reset` begins a new snapshot: forget what is not in it. */
  watchJobs({ samples, ...options }: WatchJobsOptions = {}): AsyncGenerator<v1.WatchJobsResponse, void, undefined> {
    const { request, bounds } = parts(v1.WatchJobsRequestSchema, options);
    return watchJobs(this.#link, request, { samples, ...bounds });
  }

  /** What the runner is, which browsers it found, and how busy it is. */
  async getRunner(bounds: Bounds = {}): Promise<v1.GetRunnerResponse> {
    return this.#ask({ call: (calls, call) => calls.getRunner({}, call) }, bounds);
  }

  /** Asks to end a task. Answers when the wish is recorded; a watch tells the rest. */
  async cancel(taskId: string, options: CancelOptions = {}): Promise<v1.Job> {
    const { request, bounds } = parts(v1.CancelJobRequestSchema, { ...options, taskId });
    const { job } = await this.#ask({ call: (calls, call) => calls.cancelJob(request, call) }, bounds);
    return there(job, 'CancelJob', 'a job');
  }

  /** The profiles that keep their logins. */
  profiles(options: ListProfilesOptions = {}): AsyncGenerator<v1.Profile, void, undefined> {
    const { request, bounds } = parts(v1.ListProfilesRequestSchema, options);
    return profilesOf((pageToken) => (
      this.#ask({ call: (calls, call) => calls.listProfiles({ ...request, pageToken }, call) }, bounds)
    ));
  }

  /** Removes a profile with all that is in it. Not tried again when its answer was lost: see whether it is gone. */
  async removeProfile(name: string, options: RemoveProfileOptions = {}): Promise<v1.Profile> {
    const { request, bounds } = parts(v1.RemoveProfileRequestSchema, { ...options, name });
    const { profile } = await this.#ask({ call: (calls, call) => calls.removeProfile(request, call), repeatable: false }, bounds);
    return there(profile, 'RemoveProfile', 'a profile');
  }

  /** Takes a picture of a task's page, or of its window. */
  async screenshot(taskId: string, options: ScreenshotOptions = {}): Promise<v1.Screenshot> {
    const { request, bounds } = parts(v1.CaptureScreenshotRequestSchema, { ...options, taskId });
    const { screenshot } = await this.#ask({ call: (calls, call) => calls.captureScreenshot(request, call) }, bounds);
    return there(screenshot, 'CaptureScreenshot', 'a picture');
  }

  /** The windows of a task, or of all tasks. */
  async windows(options: ListWindowsOptions = {}): Promise<v1.Window[]> {
    const { request, bounds } = parts(v1.ListWindowsRequestSchema, options);
    return (await this.#ask({ call: (calls, call) => calls.listWindows(request, call) }, bounds)).windows;
  }

  /** Puts a task's window before all others. */
  async focus(taskId: string, options: FocusOptions = {}): Promise<v1.FocusWindowResponse> {
    const { request, bounds } = parts(v1.FocusWindowRequestSchema, { ...options, taskId });
    return this.#ask({ call: (calls, call) => calls.focusWindow(request, call) }, bounds);
  }

  /** Lays the windows of tasks side by side. */
  async tile(options: TileOptions = {}): Promise<v1.TileWindowsResponse> {
    const { request, bounds } = parts(v1.TileWindowsRequestSchema, options);
    return this.#ask({ call: (calls, call) => calls.tileWindows(request, call) }, bounds);
  }

  /** What is in a file of a job, piece by piece: `pipeline(runner.readFile(id, name), createWriteStream(name))`. */
  readFile(taskId: string, name: string, options: ReadFileOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { request, bounds } = parts(v1.ReadFileRequestSchema, { ...options, taskId, name });
    return readFile(this.#link, request, bounds);
  }

  /** What a task's browser said, in the pieces in which it comes; with `follow` until the task is over. */
  readLog(taskId: string, options: ReadLogOptions = {}): AsyncGenerator<v1.ReadLogResponse, void, undefined> {
    const { request, bounds } = parts(v1.ReadLogRequestSchema, { ...options, taskId });
    return readLog(this.#link, request, bounds);
  }

  #ask<T>(unary: Unary<T>, bounds: Bounds): Promise<T> {
    return insist(this.#link, unary, bounds);
  }
}

/** The request that options ask for, and what bounds its call. */
function parts<Schema extends DescMessage>(schema: Schema, options: Asking<MessageJsonType<Schema>>): { request: MessageShape<Schema>; bounds: Bounds } {
  const { signal, retryForMs, ...fields } = options;
  return { request: asked(schema, fields), bounds: { signal, retryForMs } };
}

/** What the contract says is in each answer. */
function there<T>(part: T | undefined, call: string, what: string): T {
  if (part === undefined) throw new TypeError(`the answer of ${call} has not ${what}, as the contract says it has`);
  return part;
}
