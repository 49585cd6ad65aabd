// What a person can do with a task, each said back in words. Functions over the calls, so that any page has the same.

import type { MessageInitShape } from '@bufbuild/protobuf';

import { type Calls, execute } from './client.ts';
import {
  type ExecuteRequestSchema, FocusWindowResponse_Outcome as Outcome, type Job, Job_Status as Status, Screenshot_Format as Format,
  type Screenshot,
} from './gen/comet/taskrunner/v1/task_runner_pb.ts';
import { uuid } from './id.ts';
import { problemOf, type Problem } from './problem.ts';

/** What came of an action: why it was not done, or what was, in words, with what it gave. */
export type Done<T = object> = { problem: Problem } | ({ problem?: undefined; words: string } & T);

/** Cancelling only records the wish. */
const CANCEL_TIMEOUT_MS = 15_000;
/** Reading takes milliseconds; longer than that, the network is at fault. */
const READ_TIMEOUT_MS = 15_000;
/** The service answers within three seconds, whatever the page does or the desktop. */
const DISPLAY_TIMEOUT_MS = 10_000;

/** Asks to end a task. Once recorded, the stream tells the rest. */
export function cancel(calls: Calls, taskId: string): Promise<Done<{ job: Job | undefined }>> {
  return attempt(async () => {
    const { job } = await calls.cancelJob({ taskId }, { timeoutMs: CANCEL_TIMEOUT_MS });
    return { job, words: wordsOfCancel(job) };
  });
}

/** Opens the same again, as a new task. */
export function runAgain(calls: Calls, taskId: string, retrying: (problem: Problem) => void = () => {}): Promise<Done<{ taskId: string }>> {
  return attempt(async () => {
    const { request } = await calls.getStatus({ taskId }, { timeoutMs: READ_TIMEOUT_MS });
    if (!request) return refusal('What was asked for this task is no longer known.');
    return open(calls, request, retrying);
  });
}

/** Opens a task, under a request_id of its own. */
export async function open(calls: Calls, request: MessageInitShape<typeof ExecuteRequestSchema>, retrying: (problem: Problem) => void): Promise<Done<{ taskId: string }>> {
  const answer = await execute(calls, { ...request, requestId: uuid(), validateOnly: false }, retrying);
  return 'problem' in answer ? answer : { taskId: answer.taskId, words: wordsOfStart(answer.job) };
}

/** Puts the window of a task before all others. */
export function focusWindow(calls: Calls, taskId: string): Promise<Done> {
  return attempt(async () => {
    const { outcome } = await calls.focusWindow({ taskId }, { timeoutMs: DISPLAY_TIMEOUT_MS });
    return { words: wordsOfFocus(outcome) };
  });
}

/** Takes a picture of a task's page, or of its window when the page cannot answer. */
export function takeScreenshot(calls: Calls, taskId: string): Promise<Done<{ screenshot: Screenshot }>> {
  return attempt(async () => {
    const { screenshot } = await calls.captureScreenshot({ taskId, format: Format.PNG }, { timeoutMs: DISPLAY_TIMEOUT_MS });
    if (!screenshot) return refusal('The service answered without a picture.');
    return { screenshot, words: 'The screenshot is taken.' };
  });
}

async function attempt<T>(act: () => Promise<T>): Promise<T | { problem: Problem }> {
  try {
    return await act();
  } catch (error) {
    return { problem: problemOf(error) };
  }
}

function refusal(words: string): { problem: Problem } {
  return { problem: { code: 'refused', words, faults: [] } };
}

function wordsOfCancel(job: Job | undefined): string {
  if (job?.status === Status.CANCELLED) return 'The task is cancelled.';
  return job?.done ? 'The task is over; a browser that was kept open is told to close.' : 'The task is told to end.';
}

function wordsOfStart(job: Job | undefined): string {
  if (!job || job.status === Status.CREATED) return 'The task waits for its turn.';
  return job.done && job.status !== Status.DONE ? 'The task was started and did not go well.' : 'The task is started.';
}

function wordsOfFocus(outcome: Outcome): string {
  switch (outcome) {
    case Outcome.FOCUSED:
      return 'The window is before all others.';
    case Outcome.REQUESTED:
      return 'The desktop was asked for the window, and has not brought it yet.';
    case Outcome.UNVERIFIABLE:
    case Outcome.OUTCOME_UNSPECIFIED:
      return 'The browser put its page in front; this desktop lets nobody see what became of it.';
    default:
      // An outcome of a newer service.
      return outcome satisfies never, 'The window was asked for.';
  }
}
