// What can be done with a job as it stands, wherever that is offered.

import { Browser_Capability as Capability, type Job, Job_Status as Status } from '../gen/comet/taskrunner/v1/task_runner_pb.ts';

/** A job that is not over, or one that is over and whose browser was kept open. */
export function canCancel(job: Job): boolean {
  return job.done ? job.isProcessAlive && !job.handedOff : !isStopping(job);
}

/** It was told to end, and is not over. */
export function isStopping(job: Job): boolean {
  return !job.done && (job.cancelRequested || job.status === Status.STOPPING);
}

export function canKill(job: Job): boolean {
  return !job.done && job.status === Status.STOPPING && job.processId !== 0;
}

export function canPicture(job: Job): boolean {
  return job.isProcessAlive && (has(job, Capability.PAGE_SCREENSHOT) || canFocus(job));
}

export function canFocus(job: Job): boolean {
  return job.isProcessAlive && job.browser?.headless === false && has(job, Capability.WINDOWS);
}

function has(job: Job, capability: Capability): boolean {
  return job.browser?.capabilities.includes(capability) ?? false;
}
