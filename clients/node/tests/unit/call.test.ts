import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';

import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';

import { type Runner, TaskRunner, type TaskRunnerError } from '../../src/index.js';
import { CALLS_PER_CONNECTION } from '../../src/link.js';
import { all, change, cutOff, Fake, left, refusal, soon } from '../fake.js';

let fake: Fake;
afterEach(() => fake.stop());

async function runnerOn(script: Partial<ServiceImpl<typeof TaskRunner>>): Promise<Runner> {
  fake = await new Fake(script).start();
  return fake.runner();
}

describe('a call', () => {
  test('execute_is_made_again_under_the_same_request_id_when_its_answer_was_lost', async () => {
    const requestIds: string[] = [];
    const runner = await runnerOn({
      execute: async ({ requestId }, context) => {
        requestIds.push(requestId);
        // The job is there, and the answer never comes.
        if (requestIds.length === 1) {
          fake.cut();
          await left(context);
        }
        return { taskId: 't' };
      },
    });
    for (const requestId of [undefined, '', 'mine']) {
      requestIds.length = 0;
      assert.equal((await runner.execute('https://example.org/', { requestId })).taskId, 't');
      assert.equal(requestIds.length, 2);
      assert.match(requestIds[0] ?? '', requestId ? /^mine$/ : /^[0-9a-f]{8}-/);
      assert.equal(requestIds[0], requestIds[1]);
    }
  });

  test('what_the_service_refuses_is_not_asked_again', async () => {
    const runner = await runnerOn({ execute: () => { throw refusal(Code.ResourceExhausted, 'QUEUE_FULL', 1500); } });
    await assert.rejects(runner.execute('https://example.org/'), (error: TaskRunnerError) => {
      assert.deepEqual([error.code, error.reason, error.retryDelayMs, error.message], ['RESOURCE_EXHAUSTED', 'QUEUE_FULL', 1500, 'no (QUEUE_FULL)']);
      return true;
    });
    assert.deepEqual(fake.calls, ['GetRunner', 'Execute']);
  });

  test('a_leaving_service_is_asked_again_after_its_delay', async () => {
    let asked = 0;
    const runner = await runnerOn({
      getStatus: () => {
        asked += 1;
        if (asked === 1) throw refusal(Code.Unavailable, 'DRAINING', 200);
        return {};
      },
    });
    const began = performance.now();
    await runner.status('t');
    assert.ok(performance.now() - began >= 200);
  });

  test('a_display_that_does_not_answer_is_said_at_once', async () => {
    const runner = await runnerOn({ listWindows: () => { throw refusal(Code.Unavailable, 'DISPLAY_UNAVAILABLE'); } });
    await assert.rejects(runner.windows(), { reason: 'DISPLAY_UNAVAILABLE' });
  });

  test('a_removal_whose_answer_was_lost_is_not_made_again', async () => {
    let asked = 0;
    const runner = await runnerOn({
      removeProfile: () => {
        asked += 1;
        throw asked === 1 ? refusal(Code.Unavailable, 'LEDGER_UNAVAILABLE') : cutOff();
      },
    });
    await assert.rejects(runner.removeProfile('p'), { code: 'UNAVAILABLE' });
    assert.equal(asked, 2, 'what the service itself put off is asked again, and the cut is not');
  });

  test('its_signal_ends_it_and_the_next_one_goes_through', async () => {
    let gone = Promise.resolve();
    const runner = await runnerOn({
      getStatus: async ({ taskId }, context) => {
        if (taskId === 'slow') await (gone = left(context));
        return {};
      },
    });
    const leave = new AbortController();
    const call = runner.status('slow', { signal: leave.signal });
    setTimeout(() => leave.abort(), 20);
    await assert.rejects(call, { name: 'AbortError' });
    await soon(gone, 'the end of the call');
    await runner.status('quick');
    await assert.rejects(runner.status('t', { signal: AbortSignal.abort(new Error('before')) }), /before/);
  });

  test('a_field_that_no_request_has_and_a_word_that_no_field_takes_are_named', async () => {
    const runner = await runnerOn({});
    await assert.rejects(runner.execute('https://example.org/', { labls: {} } as object), /labls/);
    await assert.rejects(runner.execute('https://example.org/', { mode: 'SIDEWAYS' } as object), /SIDEWAYS/);
    // What is not set is not asked for.
    await assert.rejects(runner.execute('https://example.org/', { mode: undefined }), { code: 'UNIMPLEMENTED' });
  });

  test('many_calls_under_one_signal_are_no_leak_to_warn_of', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on('warning', note);
    const runner = await runnerOn({ getStatus: () => ({}) });
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 30 }, () => runner.status('t', { signal })));
    // Warnings are told on a later turn.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', note);
    assert.deepEqual(warnings, []);
  });

  test('more_calls_than_a_connection_takes_go_over_another_one', async () => {
    const streams: HandlerContext[] = [];
    const runner = await runnerOn({
      async *watchJob(_, context) {
        streams.push(context);
        yield change(1n);
        await left(context);
      },
      getStatus: () => ({}),
    });
    const watches = Array.from({ length: CALLS_PER_CONNECTION + 1 }, () => runner.watch('t'));
    await soon(Promise.all(watches.map((watch) => watch.next())), 'the first change of each');
    assert.equal(streams.length, CALLS_PER_CONNECTION + 1);
    assert.equal(fake.sessions.size, 2);
    await soon(runner.status('t'), 'an answer beside them');
  });

  test('a_list_asks_for_the_next_page_when_one_was_read', async () => {
    const asked: string[] = [];
    const runner = await runnerOn({
      listJobs: ({ pageToken, pageSize }) => {
        asked.push(`${pageToken}/${pageSize}`);
        return pageToken === '' ? { jobs: [{ taskId: 'a' }], nextPageToken: 'two', resumeToken: 'from here' } : { jobs: [{ taskId: 'b' }] };
      },
    });
    assert.deepEqual((await all(runner.listJobs({ pageSize: 1 }))).map(({ taskId }) => taskId), ['a', 'b']);
    assert.deepEqual(asked, ['/1', 'two/1']);
    for await (const _ of runner.listJobs({ pageSize: 1 })) break;
    assert.equal(asked.length, 3);
    const { value: page } = await runner.listJobs().pages().next();
    assert.equal(page?.resumeToken, 'from here');
  });

  test('a_file_and_a_log_that_were_cut_are_read_on_from_where_they_stood', async () => {
    const offsets: bigint[] = [];
    const after: bigint[] = [];
    const runner = await runnerOn({
      async *readFile({ offset }) {
        offsets.push(offset);
        if (offset === 0n) {
          yield { data: Buffer.from('abc') };
          throw cutOff();
        }
        yield { data: Buffer.from('de'), offset };
      },
      async *readLog({ afterNumber }) {
        after.push(afterNumber);
        yield { lastNumber: afterNumber + 2n };
        if (after.length === 1) throw new ConnectError('incomplete envelope', Code.InvalidArgument);
        yield { entries: [{ number: 7n }], droppedCount: 4n, lastNumber: 7n };
      },
    });
    assert.equal(Buffer.concat(await all(runner.readFile('t', 'f'))).toString(), 'abcde');
    assert.deepEqual(offsets, [0n, 3n]);
    const log = await all(runner.readLog('t'));
    assert.deepEqual(log.map(({ entries, droppedCount }) => [entries[0]?.number, droppedCount]), [[7n, 4n]]);
    assert.deepEqual(after, [0n, 2n]);
  });

  test('there_is_a_method_for_every_call_of_the_contract', async () => {
    const runner = await runnerOn({});
    const calls: Promise<unknown>[] = [
      runner.execute('https://example.org/'), runner.status('t'), runner.report('t', { status: 'DONE' }), all(runner.watch('t')),
      all(runner.listJobs()), all(runner.watchJobs()), runner.cancel('t'), all(runner.profiles()), runner.removeProfile('p'),
      runner.screenshot('t'), runner.windows(), runner.focus('t'), runner.tile(), all(runner.readFile('t', 'f')), all(runner.readLog('t')),
    ];
    for (const { status, reason } of await Promise.allSettled(calls) as PromiseRejectedResult[]) {
      assert.deepEqual([status, reason.code], ['rejected', 'UNIMPLEMENTED']);
    }
    assert.deepEqual(new Set(fake.calls), new Set(TaskRunner.methods.map(({ name }) => name)));
  });
});
