// Calls to the service: one transport that shows the token, and the two calls that a person makes.

import { type Client, createClient, type Interceptor, type Transport } from '@connectrpc/connect';

import { type GetRunnerResponse, type ReadLogResponse, TaskRunner, type WatchJobsResponse } from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import { uuid } from './id.ts';
import { problemOf, type Problem } from './problem.ts';
import { HEARTBEAT_MS, retryDelay } from './stream.ts';

/** Finished jobs of the last day are shown from the start: what somebody may still remember. */
const SINCE_SECONDS = 24n * 3600n;
/** Longer than a browser may take to come up, which Execute waits for. */
const EXECUTE_TIMEOUT_MS = 60_000;
/** Cancelling only records the wish. */
const CANCEL_TIMEOUT_MS = 15_000;
/** How often a call whose answer was lost is made again: about a minute, which is more than a restart takes. */
const TRIES_MAX = 10;

export type Calls = Client<typeof TaskRunner>;

export function callsOver(transport: Transport): Calls {
  return createClient(TaskRunner, transport);
}

/** Shows with each call the token that there is at that time. */
export function bearer(token: () => string | undefined): Interceptor {
  return (next) => (request) => {
    const shown = token();
    if (shown !== undefined) request.header.set('authorization', `Bearer ${shown}`);
    return next(request);
  };
}

/** The one stream. */
export function watchJobs(calls: Calls, token: string, resumeToken: string, signal: AbortSignal): AsyncIterable<WatchJobsResponse> {
  const heartbeatInterval = { seconds: BigInt(HEARTBEAT_MS / 1000), nanos: 0 };
  const request = { resumeToken, since: { seconds: SINCE_SECONDS, nanos: 0 }, heartbeatInterval };
  return calls.watchJobs(request, { signal, headers: authorization(token) });
}

/** What a job's browser said after entry `afterNumber`. Calls `answered` when the service has taken the call. */
export function readLog(
  calls: Calls, token: string, taskId: string, afterNumber: bigint, follow: boolean, signal: AbortSignal, answered: () => void,
): AsyncIterable<ReadLogResponse> {
  return calls.readLog({ taskId, afterNumber, follow }, { signal, headers: authorization(token), onHeader: answered });
}

export function getRunner(calls: Calls, token: string): Promise<GetRunnerResponse> {
  return calls.getRunner({}, { headers: authorization(token), timeoutMs: CANCEL_TIMEOUT_MS });
}

function authorization(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** Opens `url` as a task. A call whose answer was lost is made again under the same request_id, so that there is one
 * job however often it is made; `retrying` hears of each such try. */
export async function execute(calls: Calls, url: string, retrying: (problem: Problem) => void): Promise<Problem | undefined> {
  const requestId = uuid();
  for (let tries = 1; ; tries += 1) {
    try {
      await calls.execute({ url, requestId }, { timeoutMs: EXECUTE_TIMEOUT_MS });
      return undefined;
    } catch (error) {
      const problem = problemOf(error);
      if (problem.code !== 'cut' || tries === TRIES_MAX) return problem;
      retrying(problem);
      const delay = problem.retryDelayMs ?? retryDelay(tries, Math.random());
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }
}

/** Asks to end a task. Once recorded, the stream tells the rest. */
export async function cancel(calls: Calls, taskId: string): Promise<Problem | undefined> {
  try {
    await calls.cancelJob({ taskId }, { timeoutMs: CANCEL_TIMEOUT_MS });
    return undefined;
  } catch (error) {
    return problemOf(error);
  }
}
