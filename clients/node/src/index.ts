// Opens URLs as tasks of a Comet Task Runner, and is pushed every change until each has ended.

export { type ErrorCode, TaskRunnerError, type Violation } from './error.js';
export {
  Job_Reason as Reason,
  Job_Status as Status,
  WatchJobResponse_Kind as ChangeKind,
  WatchJobsResponse_Kind as JobsKind,
} from './gen/comet/taskrunner/v1/task_runner_pb.js';
export * from './gen/comet/taskrunner/v1/task_runner_pb.js';
export type { Bounds } from './insist.js';
export type { JobList } from './pages.js';
export { plain, resultOf } from './plain.js';
export type { ReachOptions } from './reach.js';
export {
  type CancelOptions,
  type ExecuteOptions,
  type FocusOptions,
  type ListJobsOptions,
  type ListProfilesOptions,
  type ListWindowsOptions,
  type ReadFileOptions,
  type ReadLogOptions,
  type RemoveProfileOptions,
  type Report,
  Runner,
  type RunOptions,
  type ScreenshotOptions,
  type TileOptions,
  type WatchJobsOptions,
  type WatchOptions,
} from './runner.js';
export type { Task } from './task.js';
export type { Change, Samples } from './watch.js';
