// Reads what was kept of a task: its log and its files.

import type { ReadFileRequest, ReadFileResponse, ReadLogRequest, ReadLogResponse } from './gen/comet/taskrunner/v1/task_runner_pb.js';
import type { Bounds } from './insist.js';
import type { Link } from './link.js';
import { reopened, silenceMax } from './reopened.js';

/** Longest wait for the next piece of a file: it lies on a disk. */
const PIECE_WITHIN_MS = 30_000;

/** What a browser said, in the pieces in which it comes. */
export function readLog(link: Link, request: ReadLogRequest, bounds: Bounds): AsyncGenerator<ReadLogResponse, void, undefined> {
  return reopened(link, {
    open: (calls, options) => calls.readLog(request, options),
    take: (told) => {
      request.afterNumber = told.lastNumber;
      return told.entries.length > 0 || told.droppedCount > 0n || told.reset ? told : undefined;
    },
    endsByItself: true,
    silenceMaxMs: silenceMax(),
  }, bounds);
}

/** What is in a file, piece by piece. */
export function readFile(link: Link, request: ReadFileRequest, bounds: Bounds): AsyncGenerator<Uint8Array, void, undefined> {
  return reopened(link, {
    open: (calls, options) => calls.readFile(request, options),
    take: ({ data }: ReadFileResponse) => {
      request.offset += BigInt(data.length);
      return data;
    },
    // The end may have come before its OK did.
    endsByItself: true,
    silenceMaxMs: PIECE_WITHIN_MS,
  }, bounds);
}
