// Brings what was kept of a job into the browser, piece by piece, and on after a cut.

import type { Calls } from '../client.ts';
import { problemOf, type Problem } from '../problem.ts';
import { retryDelay, scoped, SILENCE_MAX_MS } from '../stream.ts';

/** Pieces of 64 KiB that are joined at a time: a Blob lies on the browser's disk once it is large, an array does not. */
const PIECES_JOINED = 128;
/** How often in a row a cut may come before anything else does: about as long as a restart of the service takes. */
const TRIES_MAX = 6;

/** Longest time in which nothing of a file comes: as long as its stream would be silent if it were the list's. */
export const SILENCE_OF_FILE_MAX_MS = SILENCE_MAX_MS;
/** How long an address of something that is saved lasts: a browser that asks where to put it may take its time to begin. */
const ADDRESS_LASTS_MS = 40_000;

/** Reads a file whole. `progress` hears how many bytes are there. */
export async function readFile(
  calls: Calls, taskId: string, name: string, type: string, signal: AbortSignal, progress: (bytes: number) => void,
): Promise<{ blob: Blob; problem?: never } | { problem: Problem; blob?: never }> {
  let blob = new Blob([], { type });
  let pieces: Uint8Array<ArrayBuffer>[] = [];
  let read = 0;
  const join = () => {
    blob = new Blob([blob, ...pieces], { type });
    pieces = [];
  };
  for (let tries = 1; ; tries += 1) {
    const piece = new AbortController();
    const leave = () => piece.abort();
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    let silence: ReturnType<typeof setTimeout> | undefined;
    const hear = () => {
      clearTimeout(silence);
      silence = setTimeout(leave, SILENCE_OF_FILE_MAX_MS);
    };
    try {
      hear();
      const offset = BigInt(read);
      for await (const { data } of scoped((inner) => calls.readFile({ taskId, name, offset }, { signal: inner }), piece.signal)) {
        hear();
        // A copy, since the library may hand out parts of one buffer.
        pieces.push(data.slice());
        read += data.length;
        tries = 1;
        progress(read);
        if (pieces.length >= PIECES_JOINED) join();
      }
      join();
      return { blob };
    } catch (error) {
      const problem = problemOf(error);
      if (signal.aborted || problem.code !== 'cut' || tries >= TRIES_MAX) return { problem };
      clearTimeout(silence);
      await pause(problem.retryDelayMs ?? retryDelay(tries, Math.random()), signal);
    } finally {
      clearTimeout(silence);
      signal.removeEventListener('abort', leave);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

/** A name that any file system takes, out of one that a page made up. */
export function safeName(name: string): string {
  // eslint-disable-next-line no-control-regex
  const plain = name.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff/\\:*?"<>|]/g, '_').replace(/^\.+|[. ]+$/g, '');
  return plain === '' ? 'file' : plain;
}

/** Has the browser save `blob` under `name`. */
export function save(blob: Blob, name: string): void {
  const href = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = href;
  link.download = safeName(name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(href), ADDRESS_LASTS_MS);
}
