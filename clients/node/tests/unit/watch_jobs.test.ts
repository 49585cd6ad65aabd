import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';

import type { MessageInitShape } from '@bufbuild/protobuf';

import { JobsKind as Kind, type Runner, type WatchJobsRequest, type WatchJobsResponseSchema } from '../../src/index.js';
import { cutOff, Fake } from '../fake.js';

type Said = MessageInitShape<typeof WatchJobsResponseSchema> | Error;

let fake: Fake;
afterEach(() => fake.stop());

async function scripted(...streams: Said[][]): Promise<{ runner: Runner; tokens: string[] }> {
  const tokens: string[] = [];
  fake = await new Fake({
    async *watchJobs(request: WatchJobsRequest) {
      tokens.push(request.resumeToken);
      for (const said of streams.shift() ?? []) {
        if (said instanceof Error) throw said;
        yield said;
      }
    },
  }).start();
  return { runner: await fake.runner(), tokens };
}

/** What is told up to the job `until`, in short. */
async function told(runner: Runner, until: string, samples = false): Promise<string[]> {
  const heard: string[] = [];
  for await (const message of runner.watchJobs({ samples })) {
    heard.push(`${message.reset ? 'reset ' : ''}${Kind[message.kind]} ${message.taskId}${message.job?.revision ?? ''}`.trimEnd());
    if (message.taskId === until) break;
  }
  return heard;
}

const job = (kind: Kind, taskId: string, revision: bigint, resumeToken = ''): Said => ({ kind, taskId, job: { taskId, revision }, resumeToken });
const synced = (resumeToken: string): Said => ({ kind: Kind.SYNCED, resumeToken });
const removed = (taskId: string): Said => ({ kind: Kind.REMOVED, taskId, resumeToken: `gone ${taskId}` });

describe('a watch of many jobs', () => {
  test('it_goes_on_behind_the_last_token_and_is_synced_once', async () => {
    const { runner, tokens } = await scripted(
      [job(Kind.SNAPSHOT, 'a', 1n), synced('one'), job(Kind.CHANGE, 'a', 2n, 'two'), cutOff()],
      [job(Kind.CHANGE, 'a', 3n, 'three'), synced('four')],
      [synced('four'), removed('z')],
    );
    assert.deepEqual(await told(runner, 'z'), ['SNAPSHOT a1', 'SYNCED', 'CHANGE a2', 'CHANGE a3', 'REMOVED z']);
    assert.deepEqual(tokens, ['', 'two', 'four']);
  });

  test('a_snapshot_that_was_cut_is_begun_again_and_says_so', async () => {
    const { runner, tokens } = await scripted(
      [job(Kind.SNAPSHOT, 'a', 1n), cutOff()],
      [job(Kind.SNAPSHOT, 'b', 1n), synced('one'), cutOff()],
      [removed('z')],
    );
    assert.deepEqual(await told(runner, 'z'), ['SNAPSHOT a1', 'reset SNAPSHOT b1', 'SYNCED', 'REMOVED z']);
    assert.deepEqual(tokens, ['', '', 'one']);
  });

  test('an_empty_snapshot_in_the_place_of_one_that_was_cut_says_so_too', async () => {
    const { runner } = await scripted([job(Kind.SNAPSHOT, 'a', 1n), cutOff()], [synced('one'), removed('z')]);
    assert.deepEqual(await told(runner, 'z'), ['SNAPSHOT a1', 'reset SYNCED', 'REMOVED z']);
  });

  test('a_reset_lets_the_old_token_go_even_when_its_snapshot_is_cut', async () => {
    const reset: Said = { kind: Kind.SNAPSHOT, taskId: 'b', job: { taskId: 'b', revision: 4n }, reset: true };
    const { runner, tokens } = await scripted(
      [job(Kind.SNAPSHOT, 'a', 1n), synced('one'), cutOff()],
      [reset, cutOff()],
      [job(Kind.SNAPSHOT, 'b', 5n), synced('two'), removed('z')],
    );
    assert.deepEqual(await told(runner, 'z'), ['SNAPSHOT a1', 'SYNCED', 'reset SNAPSHOT b4', 'reset SNAPSHOT b5', 'SYNCED', 'REMOVED z']);
    assert.deepEqual(tokens, ['', 'one', '']);
  });

  test('readings_and_kinds_of_a_newer_service_are_told_only_as_wanted', async () => {
    const stream: Said[] = [synced('one'), { kind: Kind.HEARTBEAT }, { kind: Kind.SAMPLE }, { kind: 99 as Kind }, removed('z')];
    const { runner } = await scripted(stream, stream);
    assert.deepEqual(await told(runner, 'z'), ['SYNCED', 'REMOVED z']);
    assert.deepEqual(await told(runner, 'z', true), ['SYNCED', 'HEARTBEAT', 'SAMPLE', 'REMOVED z']);
  });
});

