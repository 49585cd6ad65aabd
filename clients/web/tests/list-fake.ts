// What the list asks of a service beside its stream: older tasks, what was asked for a task, its window, and how busy the runner is.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';

import {
  Browser_Capability as Capability, Browser_Tier as Tier, FocusWindowResponse_Outcome as Outcome,
  type GetRunnerResponseSchema, type Job, type ListJobsRequest, Screenshot_Format as Format, Screenshot_Source as Source,
} from '../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { ErrorInfoSchema } from '../src/gen/google/rpc/error_details_pb.ts';
import { millis } from '../src/text.ts';
import type { Fake } from './fake.ts';

/** The bytes of a PNG of one pixel. */
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

export const CAPABILITIES = [Capability.PAGE_FACTS, Capability.REPORT_BINDING, Capability.PAGE_SCREENSHOT, Capability.WINDOWS, Capability.DIALOGS, Capability.STOP, Capability.PROFILE, Capability.HEADLESS];

export class ListFake {
  /** Jobs that only ListJobs knows, the newest first. */
  readonly old: Job[] = [];
  /** Each ListJobs as it came. */
  readonly listed: ListJobsRequest[] = [];
  /** So many jobs of a page at most, whatever is asked. */
  pageMax = 100;
  /** Windows that were asked for, and pictures. */
  readonly focused: string[] = [];
  readonly pictured: string[] = [];
  focusProblem = '';
  runner: MessageInitShape<typeof GetRunnerResponseSchema> = {
    version: '1.2.3', host: 'bench-7', ready: true, hasDisplay: true,
    startedAt: { seconds: BigInt(Math.floor(Date.now() / 1000) - 7200), nanos: 0 },
    browsers: [
      { name: 'chromium', version: '156.0.7200.1', path: '/usr/bin/chromium', tier: Tier.MANAGED, tiers: [{ tier: Tier.MANAGED, capabilities: CAPABILITIES }, { tier: Tier.EXIT_ONLY, capabilities: [Capability.STOP, Capability.EXIT_STATUS] }] },
      { name: 'firefox', version: '145.0', path: '/usr/bin/firefox', tier: Tier.EXIT_ONLY, tiers: [{ tier: Tier.EXIT_ONLY, capabilities: [Capability.STOP, Capability.EXIT_STATUS] }] },
    ],
    limits: { slots: 4, queueMax: 10_000, watchersMax: 10_000, launchesMax: 2, memoryFloorMb: 512n, windowsMax: 8 },
    load: { slotsTaken: 3, queueLen: 12, jobsLive: 15, watchers: 1, launchesInFlight: 1, windowsOpen: 2, windowsKept: 1, memoryAvailableMb: 12_345n },
  };

  constructor(private readonly fake: Fake) {
    Object.assign(fake.more, {
      getRunner: (_: unknown, context: HandlerContext) => {
        return { scope: fake.meet(context), ...this.runner, problems: fake.problems };
      },
      listJobs: (request: ListJobsRequest, context: HandlerContext) => {
        fake.admit(context);
        return this.#list(request);
      },
      getStatus: ({ taskId }: { taskId: string }, context: HandlerContext) => {
        fake.admit(context);
        const job = fake.jobs.get(taskId);
        return job ? { job, request: { url: job.url, labels: job.labels, priority: 7 } } : {};
      },
      focusWindow: ({ taskId }: { taskId: string }, context: HandlerContext) => {
        fake.admit(context);
        if (this.focusProblem !== '') {
          throw new ConnectError(this.focusProblem, Code.FailedPrecondition, undefined, [{ desc: ErrorInfoSchema, value: { reason: 'NO_WINDOW', domain: 'taskrunner.comet' } }]);
        }
        this.focused.push(taskId);
        return { outcome: Outcome.FOCUSED };
      },
      captureScreenshot: ({ taskId }: { taskId: string }, context: HandlerContext) => {
        fake.admit(context);
        this.pictured.push(taskId);
        return { screenshot: { image: PIXEL, format: Format.PNG, width: 640, height: 360, source: Source.PAGE, capturedAt: { seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 } } };
      },
    });
  }

  #list(request: ListJobsRequest): { jobs: Job[]; nextPageToken: string } {
    this.listed.push(request);
    const { filter } = request;
    const before = millis(filter?.createdBefore) ?? Infinity;
    const all = [...[...this.fake.jobs.values()].reverse(), ...this.old].filter((job) =>
      (millis(job.createdAt) ?? 0) < before && job.url.includes(filter?.urlContains ?? '') &&
      (request.statuses.length === 0 || request.statuses.includes(job.status)) &&
      Object.entries(filter?.labels ?? {}).every(([key, value]) => job.labels[key] === value));
    const from = Number(request.pageToken || 0);
    const to = from + Math.min(this.pageMax, request.pageSize);
    this.fake.happened();
    return { jobs: all.slice(from, to), nextPageToken: to < all.length ? String(to) : '' };
  }
}
