// What went wrong with a call, as far as the page can act on it.

import { Code, ConnectError } from '@connectrpc/connect';

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from './gen/google/rpc/error_details_pb.ts';

export interface Problem {
  /** What to do: get a token, call again, or mend the request. */
  code: 'unauthenticated' | 'cut' | 'refused';
  /** The service's own name for it, such as "QUEUE_FULL". Absent when the service never answered. */
  reason?: string;
  /** For a person. */
  words: string;
  /** What is wrong with which field of the request. */
  faults: { field: string; description: string }[];
  /** When it is worth trying again, if the service said so. */
  retryDelayMs?: number;
}

/** Reads an error of any kind. */
export function problemOf(thrown: unknown): Problem {
  const error = ConnectError.from(thrown);
  const info = error.findDetails(ErrorInfoSchema)[0];
  const faults = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations);
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: kindOf(error.code, info !== undefined),
    words: info ? sentence(error.rawMessage) : wordsFor(error.code, error.rawMessage),
    faults: faults.map(({ field, description }) => ({ field, description: sentence(description) })),
    ...(info && { reason: info.reason }),
    ...(retry && { retryDelayMs: Number(retry.seconds) * 1000 + retry.nanos / 1e6 }),
  };
}

/** Whether a call may have taken effect without its answer, so that the same call is to be made again. */
function kindOf(code: Code, answered: boolean): Problem['code'] {
  if (code === Code.Unauthenticated) return 'unauthenticated';
  // Draining, or the ledger is out of reach for a moment: the service says that nothing was done, and it will be back.
  if (code === Code.Unavailable) return 'cut';
  if (answered) return 'refused';
  switch (code) {
    case Code.Unknown:
    case Code.Internal:
    case Code.Canceled:
    case Code.DeadlineExceeded:
    case Code.Aborted:
      return 'cut';
    default:
      return 'refused';
  }
}

/** The words of an error that the service did not write, or not in its own form. */
function wordsFor(code: Code, message: string): string {
  switch (code) {
    case Code.Unauthenticated:
      return 'The service does not accept this token.';
    case Code.DeadlineExceeded:
      return 'The service did not answer in time.';
    case Code.Unknown:
    case Code.Unavailable:
    case Code.Canceled:
      // Browsers say no more than "Failed to fetch", each in its own way.
      return 'The service cannot be reached.';
    default:
      return sentence(message);
  }
}

/** Errors are lower case without a full stop; people read sentences. */
export function sentence(text: string): string {
  if (text === '') return '';
  const start = (text.charAt(0).toUpperCase() + text.slice(1)).replace(/^Url\b/, 'URL');
  return /[.!?…]$/.test(start) ? start : `${start}.`;
}
