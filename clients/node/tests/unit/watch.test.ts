import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';

import { Code, type HandlerContext } from '@connectrpc/connect';

import { ChangeKind, type Runner, TaskRunnerError, type WatchJobRequest, type WatchJobResponse } from '../../src/index.js';
import { all, change, cutOff, Fake, last, left, refusal, snapshot, soon } from '../fake.js';

type Said = Parameters<typeof change>[1] | Error | 'silence';

let fake: Fake;
afterEach(() => fake.stop());

/** A service whose streams say one thing after another, and what each was asked with. */
async function scripted(...streams: Said[][]): Promise<{ runner: Runner; asked: WatchJobRequest[]; open: () => number; beside: number[] }> {
  const asked: WatchJobRequest[] = [];
  /** How many others were open when each was opened. */
  const beside: number[] = [];
  let open = 0;
  async function* watchJob(request: WatchJobRequest, context: HandlerContext) {
    asked.push(request);
    beside.push(open);
    open += 1;
    void left(context).then(() => { open -= 1; });
    for (const said of streams.shift() ?? []) {
      if (said instanceof Error) throw said;
      if (said === 'silence') await left(context);
      else if (said) yield said as WatchJobResponse;
    }
  }
  fake = await new Fake({ watchJob }).start();
  return { runner: await fake.runner(), asked, open: () => open, beside };
}

const revisions = async (stream: AsyncIterable<{ job: { revision: bigint } }>) => (await all(stream)).map(({ job }) => Number(job.revision));

describe('a watch of one job', () => {
  test('a_cut_stream_goes_on_behind_the_last_token_without_a_doubled_change', async () => {
    const { runner, asked } = await scripted(
      [snapshot(2n), change(3n), cutOff()],
      [change(3n), change(4n), 'silence'],
      [last(5n)],
    );
    const told: number[] = [];
    for await (const { revision } of runner.watch('t')) {
      told.push(Number(revision));
      if (revision === 4n) fake.cut();
    }
    assert.deepEqual(told, [2, 3, 4, 5]);
    assert.deepEqual(asked.map(({ resumeToken }) => resumeToken), ['', 'after 3', 'after 4']);
  });

  test('a_stream_that_ends_well_before_the_task_is_taken_for_cut', async () => {
    const { runner } = await scripted([snapshot(1n)], [last(2n)]);
    assert.deepEqual(await revisions(runner.watch('t')), [1, 2]);
  });

  test('a_heartbeat_moves_the_token_and_tells_nothing_unless_samples_are_wanted', async () => {
    const beat = { kind: ChangeKind.HEARTBEAT, resumeToken: 'after the beat', sample: { progress: 40 } };
    const { runner, asked } = await scripted([snapshot(1n), beat, cutOff()], [last(2n)], [snapshot(1n), beat, last(2n)]);
    assert.deepEqual(await revisions(runner.watch('t')), [1, 2]);
    assert.equal(asked[1]?.resumeToken, 'after the beat');

    const told = await all(runner.watch('t', { samples: true }));
    assert.deepEqual(told.map(({ kind, job, sample }) => [kind, Number(job.revision), sample?.progress]), [
      [ChangeKind.SNAPSHOT, 1, undefined], [ChangeKind.HEARTBEAT, 1, 40], [ChangeKind.CHANGE, 2, undefined],
    ]);
  });

  test('a_leaving_service_is_left_at_once_and_called_again_after_its_delay', async () => {
    const draining = { kind: ChangeKind.DRAINING, resumeToken: 'drained', retryDelay: { seconds: 0n, nanos: 300e6 } };
    const { runner, asked, beside } = await scripted([snapshot(1n), draining, 'silence'], [last(2n)]);
    const began = performance.now();
    assert.deepEqual(await revisions(runner.watch('t')), [1, 2]);
    assert.ok(performance.now() - began >= 300);
    assert.equal(asked[1]?.resumeToken, 'drained');
    assert.deepEqual(beside, [0, 0]);
  });

  test('silence_for_two_heartbeats_is_a_cut_and_another_connection_is_taken', async () => {
    const { runner, asked } = await scripted([snapshot(1n), 'silence'], [last(2n)]);
    assert.deepEqual(await revisions(runner.watch('t', { heartbeatInterval: '0.1s' })), [1, 2]);
    assert.equal(asked.length, 2);
    assert.equal(asked[0]?.heartbeatInterval?.nanos, 100e6);
    assert.deepEqual([fake.sessionsMet, fake.sessions.size], [2, 1], 'the silent connection is closed');
  });

  test('a_slow_reader_is_not_silence', async () => {
    const { runner, asked } = await scripted([snapshot(1n), last(2n)]);
    for await (const _ of runner.watch('t', { heartbeatInterval: '0.02s' })) await new Promise((resolve) => setTimeout(resolve, 80));
    assert.equal(asked.length, 1);
  });

  test('leaving_the_loop_ends_the_call', async () => {
    let gone = Promise.resolve();
    fake = await new Fake({
      async *watchJob(_, context) {
        gone = left(context);
        yield snapshot(1n) as WatchJobResponse;
        await gone;
      },
    }).start();
    for await (const _ of (await fake.runner()).watch('t')) break;
    await soon(gone, 'the end of the call');
  });

  test('a_signal_ends_the_call_with_its_own_reason', async () => {
    const { runner } = await scripted([snapshot(1n), 'silence'], [refusal(Code.Unavailable, 'DRAINING', 600_000)]);
    const leave = new AbortController();
    const stream = runner.watch('t', { signal: leave.signal });
    await stream.next();
    const next = stream.next();
    leave.abort(new Error('enough'));
    await assert.rejects(next, /enough/);
    // While it waits for another try, too.
    const again = new AbortController();
    const waiting = runner.watch('t', { signal: again.signal }).next();
    setTimeout(() => again.abort(), 50);
    await assert.rejects(soon(waiting, 'the end of the wait'), { name: 'AbortError' });
  });

  test('a_store_that_was_put_back_is_told_although_revisions_fall', async () => {
    const { runner } = await scripted([snapshot(5n), cutOff()], [snapshot(3n, { reset: true }), last(4n)]);
    assert.deepEqual(await revisions(runner.watch('t')), [5, 3, 4]);
  });

  test('a_missing_change_is_said_and_never_passed_over', async () => {
    const { runner } = await scripted([snapshot(1n), change(3n)]);
    await assert.rejects(revisions(runner.watch('t')), { code: 'DATA_LOSS', reason: 'REVISION_MISSING' });
  });

  test('a_refusal_ends_it_at_once', async () => {
    for (const [code, reason] of [[Code.NotFound, 'TASK_NOT_FOUND'], [Code.Unauthenticated, 'TOKEN_INVALID']] as const) {
      const { runner, asked } = await scripted([refusal(code, reason)]);
      await assert.rejects(revisions(runner.watch('t')), { name: 'TaskRunnerError', reason });
      assert.equal(asked.length, 1);
      await fake.stop();
    }
    fake = await new Fake({}).start();
  });

  test('a_full_house_turns_away_who_is_new_and_lets_wait_who_was_in_before', async () => {
    const full = () => refusal(Code.ResourceExhausted, 'WATCHER_LIMIT', 10);
    const { runner } = await scripted([full()], [snapshot(1n), cutOff()], [full()], [last(2n)]);
    await assert.rejects(revisions(runner.watch('t')), { code: 'RESOURCE_EXHAUSTED', retryDelayMs: 10 });
    assert.deepEqual(await revisions(runner.watch('t')), [1, 2]);
  });

  test('patience_ends_when_nothing_was_heard_for_its_time', async () => {
    const { runner, asked } = await scripted(...Array.from({ length: 50 }, () => [cutOff()]));
    await assert.rejects(revisions(runner.watch('t', { retryForMs: 300 })), { code: 'UNAVAILABLE' });
    assert.ok(asked.length > 1);
    await assert.rejects(revisions(runner.watch('t', { retryForMs: 0 })), TaskRunnerError);
  });

  test('closing_the_runner_ends_what_is_under_way', async () => {
    const { runner, open } = await scripted([snapshot(1n), 'silence']);
    const stream = runner.watch('t');
    await stream.next();
    assert.equal(open(), 1);
    const next = stream.next();
    runner.close();
    await assert.rejects(next, { code: 'CANCELLED' });
    await assert.rejects(runner.status('t'), { code: 'CANCELLED' });
  });
});
