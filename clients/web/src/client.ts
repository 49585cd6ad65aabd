// Calls to the service: what shows the token with each, and what is common to all who make them.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Client, createClient, type Interceptor, type Transport } from '@connectrpc/connect';

import {
  type ExecuteRequestSchema, type ExecuteResponse, type GetRunnerResponse, type ReadLogResponse, TaskRunner, type WatchJobsResponse,
} from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import { problemOf, type Problem } from './problem.ts';
import { HEARTBEAT_MS, retryDelay } from './stream.ts';

/** Finished jobs of the last day are shown from the start: what somebody may still remember. */
export const SINCE_MS = 24 * 3_600_000;
/** Longer than a browser may take to come up, which Execute waits for. */
const EXECUTE_TIMEOUT_MS = 60_000;
/** Reading what the runner is takes milliseconds; longer than that, the network is at fault. */
const RUNNER_TIMEOUT_MS = 15_000;
/** How often a call whose answer was lost is made again: about a minute, which is more than a restart takes. */
const TRIES_MAX = 10;

export type Calls = Client<typeof TaskRunner>;

export function callsOver(transport: Transport): Calls {
  return createClient(TaskRunner, transport);
}

/** Shows with each call the token that there is at that time; `refused` hears of one that the service does not accept. */
export function bearer(token: () => string | undefined, refused: (token: string) => void): Interceptor {
  return (next) => async (request) => {
    const shown = token();
    if (shown !== undefined) request.header.set('authorization', `Bearer ${shown}`);
    try {
      return await next(request);
    } catch (error) {
      if (shown !== undefined && problemOf(error).code === 'unauthenticated') refused(shown);
      throw error;
    }
  };
}

/** The one stream. */
export function watchJobs(calls: Calls, token: string, resumeToken: string, signal: AbortSignal): AsyncIterable<WatchJobsResponse> {
  const heartbeatInterval = { seconds: BigInt(HEARTBEAT_MS / 1000), nanos: 0 };
  const request = { resumeToken, since: { seconds: BigInt(SINCE_MS / 1000), nanos: 0 }, heartbeatInterval };
  return calls.watchJobs(request, { signal, headers: authorization(token) });
}

/** What a job's browser said after entry `afterNumber`. Calls `answered` when the service has taken the call. */
export function readLog(
  calls: Calls, token: string, taskId: string, afterNumber: bigint, follow: boolean, signal: AbortSignal, answered: () => void,
): AsyncIterable<ReadLogResponse> {
  return calls.readLog({ taskId, afterNumber, follow }, { signal, headers: authorization(token), onHeader: answered });
}

export function getRunner(calls: Calls, token: string): Promise<GetRunnerResponse> {
  return calls.getRunner({}, { headers: authorization(token), timeoutMs: RUNNER_TIMEOUT_MS });
}

function authorization(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** Opens a task. A call whose answer was lost is made again under the same request_id, so that there is one job however
 * often it is made; `retrying` hears of each such try. */
export async function execute(calls: Calls, request: MessageInitShape<typeof ExecuteRequestSchema>, retrying: (problem: Problem) => void): Promise<ExecuteResponse | { problem: Problem }> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await calls.execute(request, { timeoutMs: EXECUTE_TIMEOUT_MS });
    } catch (error) {
      const problem = problemOf(error);
      if (problem.code !== 'cut' || tries === TRIES_MAX) return { problem };
      retrying(problem);
      const delay = problem.retryDelayMs ?? retryDelay(tries, Math.random());
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }
}
