import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Code, ConnectError } from '@connectrpc/connect';

import type { Calls } from '../../src/client.ts';
import { readFile, SILENCE_OF_FILE_MAX_MS } from '../../src/job/keeping.ts';

test('a_file_of_which_nothing_comes_is_asked_for_again_behind_what_is_there', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const offsets: number[] = [];
  let isSilent = () => {};
  const silent = new Promise<void>((resolve) => { isSilent = resolve; });
  const calls = {
    async *readFile({ offset }: { offset: bigint }, { signal }: { signal: AbortSignal }): AsyncGenerator<{ data: Uint8Array }> {
      offsets.push(Number(offset));
      yield { data: new Uint8Array(offset > 0n ? [3] : [1, 2]) };
      if (offset > 0n) return;
      isSilent();
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new ConnectError('left', Code.Canceled))));
    },
  } as unknown as Calls;
  const scope = new AbortController();
  const read = readFile(calls, 'task', 'name', 'text/plain', scope.signal, () => {});
  await silent;
  t.mock.timers.tick(SILENCE_OF_FILE_MAX_MS);
  // Its waits before the next try begin a few turns later.
  let turns = 0;
  const turning = setInterval(() => {
    t.mock.timers.tick(1000);
    if ((turns += 1) > 1000) scope.abort();
  }, 1);
  const { blob, problem } = await read;
  clearInterval(turning);
  assert.equal(problem, undefined);
  assert.deepEqual([...new Uint8Array(await (blob as Blob).arrayBuffer())], [1, 2, 3]);
  assert.deepEqual(offsets, [0, 2]);
});
