import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { create } from '@bufbuild/protobuf';

import { Acquaintance, ASK_AGAIN_MS } from '../../src/acquaintance.ts';
import { type GetRunnerResponse, GetRunnerResponseSchema } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { RETRY_MAX_MS } from '../../src/stream.ts';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 }));
afterEach(() => mock.timers.reset());

/** Lets everything happen that needs no time. */
const settle = async () => { for (let turn = 0; turn < 20; turn += 1) await Promise.resolve(); };
const pass = async (ms: number) => { mock.timers.tick(ms); await settle(); };

function acquainted(problems: string[] = []) {
  const now = { problems, fails: false, asked: 0, answer: undefined as Promise<GetRunnerResponse> | undefined };
  const told: string[][] = [];
  const acquaintance = new Acquaintance(async () => {
    now.asked += 1;
    if (now.fails) throw new Error('it cannot be reached');
    return now.answer ?? create(GetRunnerResponseSchema, { problems: now.problems.map((what) => ({ what, remedy: '' })) });
  }, (runner) => told.push(runner.problems.map(({ what }) => what)));
  return { now, told, acquaintance };
}

test('it_is_asked_until_it_is_answered_and_only_while_there_is_a_connection', async () => {
  const { now, told, acquaintance } = acquainted();
  now.fails = true;
  acquaintance.connect();
  await settle();
  for (let tries = 1; tries < 8; tries += 1) {
    assert.equal(now.asked, tries);
    await pass(RETRY_MAX_MS);
  }
  acquaintance.disconnect();
  await pass(10 * RETRY_MAX_MS);
  assert.deepEqual([now.asked, told], [8, []]);
  now.fails = false;
  acquaintance.connect();
  await settle();
  await pass(100 * RETRY_MAX_MS);
  assert.deepEqual([now.asked, told], [9, [[]]], 'and then no more');
});

test('a_problem_is_asked_after_until_it_is_gone_while_somebody_looks', async () => {
  const { now, told, acquaintance } = acquainted(['no browser was found']);
  acquaintance.connect();
  await settle();
  await pass(10 * ASK_AGAIN_MS);
  assert.equal(now.asked, 1, 'nobody looks');
  acquaintance.see(true);
  await pass(0);
  assert.equal(now.asked, 2, 'who comes to look sees how it stands');
  await pass(ASK_AGAIN_MS - 1);
  assert.equal(now.asked, 2);
  now.problems = [];
  await pass(1);
  assert.deepEqual(told, [['no browser was found'], ['no browser was found'], []]);
  await pass(10 * ASK_AGAIN_MS);
  assert.equal(now.asked, 3);
});

test('a_problem_that_comes_is_seen_after_a_change', async () => {
  const { now, told, acquaintance } = acquainted();
  acquaintance.see(true);
  acquaintance.connect();
  await settle();
  now.problems = ['the disk is full'];
  for (let changes = 0; changes < 9; changes += 1) {
    acquaintance.change();
    await pass(ASK_AGAIN_MS / 10);
  }
  assert.deepEqual(told, [[]], 'not with each of them');
  await pass(ASK_AGAIN_MS / 10);
  assert.deepEqual(told, [[], ['the disk is full']]);
});

test('an_answer_that_comes_after_the_next_connection_is_dropped', async () => {
  const { now, told, acquaintance } = acquainted(['new']);
  let answer = (_: GetRunnerResponse) => {};
  now.answer = new Promise((resolve) => { answer = resolve; });
  acquaintance.connect();
  now.answer = undefined;
  acquaintance.connect();
  await settle();
  answer(create(GetRunnerResponseSchema, { problems: [{ what: 'old', remedy: '' }] }));
  await settle();
  assert.deepEqual(told, [['new']]);
});
