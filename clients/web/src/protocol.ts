// What a tab and the holder of the stream say to each other. Messages are copied as they are: they hold data only.

import type { GetRunnerResponse, Job } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { LogStanding } from './job/follow.ts';
import type { LogPart } from './job/log.ts';
import type { Samples } from './jobs.ts';
import type { Connection } from './stream.ts';

export type FromTab =
  /** The tab is there. While it is, it holds the lock of this name. */
  | { kind: 'hello'; lock: string; token: string | undefined }
  /** The tab goes, or sleeps in the history. */
  | { kind: 'bye' }
  | { kind: 'token'; token: string }
  /** A call of the tab with this token was refused. */
  | { kind: 'refused'; token: string }
  /** The network is back, the machine woke, or somebody looks. */
  | { kind: 'wake' }
  /** Whether the tab is to be seen; it is not until it says so. */
  | { kind: 'seen'; seen: boolean }
  /** The tab shows this job's log, and may itself be hidden. Without a job it shows none. */
  | { kind: 'log'; taskId: string | undefined; watched: boolean }
  /** Somebody wants that log read again. */
  | { kind: 'log again'; taskId: string };

export type ToTab =
  /** The answer to a hello. While the holder lives, it holds the lock of this name. */
  | { kind: 'welcome'; lock: string }
  | { kind: 'connection'; connection: Connection }
  | { kind: 'runner'; runner: GetRunnerResponse }
  /** For the console: what must not happen, did. */
  | { kind: 'fault'; words: string }
  /** Of jobs that were accepted before `completeSinceMs` some may be missing. */
  | { kind: 'all'; jobs: Job[]; samples: Samples; completeSinceMs: number }
  | { kind: 'changed'; job: Job }
  | { kind: 'removed'; taskIds: string[]; completeSinceMs: number }
  | { kind: 'samples'; samples: Samples; whole: boolean }
  /** More of the log that the tab shows, or how its stream stands. */
  | { kind: 'log'; taskId: string; part?: LogPart; standing?: LogStanding };

/** The part of a MessagePort that is used. */
export interface Port {
  postMessage(message: ToTab | FromTab): void;
  onmessage: ((event: MessageEvent) => void) | null;
}
