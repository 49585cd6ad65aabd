// A task that this program opened.

import type { ExecuteResponse, Job } from './gen/comet/taskrunner/v1/task_runner_pb.js';
import type { CancelOptions, Runner, WatchOptions } from './runner.js';
import type { Change } from './watch.js';

/** A task that was opened. Loop over it for its changes, or wait for its `result`. Leaving either never ends the task. */
export class Task implements AsyncIterable<Change> {
  constructor(
    private readonly runner: Runner,
    /** What the service answered once there was a job. */
    readonly made: Promise<ExecuteResponse>,
    private readonly options: WatchOptions,
  ) {
    // Whoever loops, waits or asks hears of it; who does none of these has not asked to hear.
    made.catch(() => undefined);
  }

  /** The task's name. */
  async taskId(): Promise<string> {
    return (await this.made).taskId;
  }

  /** Every change, from the first to the last, whenever the loop begins. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Change, void, undefined> {
    yield* this.runner.watch(await this.taskId(), { fromStart: true, ...this.options });
  }

  /** The job at its end, whatever end that is: see its `status`, `reason` and `message`. */
  async result(): Promise<Job> {
    return this.runner.finished(await this.taskId(), this.options);
  }

  /** Asks to end the task. */
  async cancel(options: CancelOptions = {}): Promise<Job> {
    return this.runner.cancel(await this.taskId(), options);
  }
}
