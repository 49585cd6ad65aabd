// What went wrong with a call, in the words of the contract.

import { Code, ConnectError } from '@connectrpc/connect';

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from './gen/google/rpc/error_details_pb.js';
import { durationMs } from './plain.js';

/** A gRPC code by its name. */
export type ErrorCode =
  | 'CANCELLED' | 'UNKNOWN' | 'INVALID_ARGUMENT' | 'DEADLINE_EXCEEDED' | 'NOT_FOUND' | 'ALREADY_EXISTS' | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED' | 'FAILED_PRECONDITION' | 'ABORTED' | 'OUT_OF_RANGE' | 'UNIMPLEMENTED' | 'INTERNAL' | 'UNAVAILABLE'
  | 'DATA_LOSS' | 'UNAUTHENTICATED';

/** What is wrong with one field of a request. */
export interface Violation {
  field: string;
  description: string;
}

/** A call that did not go through. What becomes of a task is no error: that is in its job. */
export class TaskRunnerError extends Error {
  override readonly name = 'TaskRunnerError';
  /** The gRPC code. */
  readonly code: ErrorCode;
  /** The service's own name for it, such as "QUEUE_FULL". Unset when it is not the service that said it. */
  declare readonly reason?: string;
  /** What the service tells beside its reason, such as the `state` of a task of which there is no picture. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What is wrong with which field of the request. */
  readonly violations: readonly Violation[];
  /** When it is worth trying again, if the service said so. */
  declare readonly retryDelayMs?: number;

  constructor(
    code: ErrorCode,
    message: string,
    more: { reason?: string; metadata?: Record<string, string>; violations?: Violation[]; retryDelayMs?: number; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.metadata = more.metadata ?? {};
    this.violations = more.violations ?? [];
    if (more.reason !== undefined) this.reason = more.reason;
    if (more.retryDelayMs !== undefined) this.retryDelayMs = more.retryDelayMs;
  }
}

/** Reads what a call to `server` threw. */
export function errorOf(error: ConnectError, server: string): TaskRunnerError {
  const info = error.findDetails(ErrorInfoSchema)[0];
  // The service signs every answer of its own, so one without a reason comes from elsewhere.
  if (!info) return foreign(error, server);
  const violations = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations);
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const faults = violations.map(({ field, description }) => `\n  ${field}: ${description}`);
  return new TaskRunnerError(CODES[error.code], `${error.rawMessage} (${info.reason})${faults.join('')}`, {
    reason: info.reason,
    metadata: { ...info.metadata },
    violations: violations.map(({ field, description }) => ({ field, description })),
    ...(retry && { retryDelayMs: durationMs(retry) }),
  });
}

function foreign(error: ConnectError, server: string): TaskRunnerError {
  const words = error.rawMessage.trim();
  return CUT.has(error.code)
    ? new TaskRunnerError('UNAVAILABLE', `no service answers at ${server}: ${words}`, { cause: error })
    : new TaskRunnerError(CODES[error.code], `what listens at ${server} answered: ${words}`, { cause: error });
}

/** What a cut connection is called by the library, depending on the moment of the cut and on whoever cut it:
 * INVALID_ARGUMENT in the middle of a message, RESOURCE_EXHAUSTED when the other side asked for calm. */
const CUT: ReadonlySet<Code> = new Set([
  Code.Unavailable, Code.Unknown, Code.Internal, Code.Canceled, Code.DeadlineExceeded, Code.Aborted, Code.InvalidArgument,
  Code.ResourceExhausted,
]);

/** Whether the same call may well go through a moment later: the service restarts, or the connection was cut. */
export function passes(error: TaskRunnerError): boolean {
  // The display of the service's machine does not come back with the service.
  return error.code === 'UNAVAILABLE' && error.reason !== 'DISPLAY_UNAVAILABLE';
}

const CODES: Readonly<Record<Code, ErrorCode>> = {
  [Code.Canceled]: 'CANCELLED',
  [Code.Unknown]: 'UNKNOWN',
  [Code.InvalidArgument]: 'INVALID_ARGUMENT',
  [Code.DeadlineExceeded]: 'DEADLINE_EXCEEDED',
  [Code.NotFound]: 'NOT_FOUND',
  [Code.AlreadyExists]: 'ALREADY_EXISTS',
  [Code.PermissionDenied]: 'PERMISSION_DENIED',
  [Code.ResourceExhausted]: 'RESOURCE_EXHAUSTED',
  [Code.FailedPrecondition]: 'FAILED_PRECONDITION',
  [Code.Aborted]: 'ABORTED',
  [Code.OutOfRange]: 'OUT_OF_RANGE',
  [Code.Unimplemented]: 'UNIMPLEMENTED',
  [Code.Internal]: 'INTERNAL',
  [Code.Unavailable]: 'UNAVAILABLE',
  [Code.DataLoss]: 'DATA_LOSS',
  [Code.Unauthenticated]: 'UNAUTHENTICATED',
};
