import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create, type MessageInitShape } from '@bufbuild/protobuf';

import { iconOf, titleOf } from '../../src/attention.ts';
import { cancel } from '../../src/actions.ts';
import type { Calls } from '../../src/client.ts';
import { type Job, Job_Status as Status, JobSchema, ListJobsResponseSchema, type ListJobsRequestSchema, SampleSchema } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { askedIn, queryOf } from '../../src/list/asked.ts';
import { History, OLDER_MAX } from '../../src/list/history.ts';
import { BEYOND, drawn } from '../../src/list/span.ts';
import { compareBy, keyOf } from '../../src/list/sorting.ts';
import { Notices } from '../../src/notices.ts';
import { hrefOf, routeOf } from '../../src/route.ts';
import { Store } from '../../src/store.ts';

const job = (fields: MessageInitShape<typeof JobSchema>): Job => create(JobSchema, { revision: 1n, ...fields });
const at = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });
const all = (store: Store, ...jobs: Job[]) => { store.apply({ kind: 'all', jobs, samples: {}, completeSinceMs: 0 }); };
const shown = (store: Store) => Array.from({ length: store.view.length }, (_, index) => store.view.taskIdAt(index));

test('an_address_leads_to_a_task_or_to_the_list', () => {
  assert.deepEqual(routeOf(hrefOf('0190-a')), { route: { page: 'task', taskId: '0190-a' }, query: '' });
  assert.deepEqual(routeOf(hrefOf('a/b?c')), { route: { page: 'task', taskId: 'a/b?c' }, query: '' });
  assert.deepEqual(routeOf('#/?status=FAILED&text=a?b'), { route: { page: 'list' }, query: 'status=FAILED&text=a?b' });
  for (const other of ['', '#', '#/', '#/tasks/', '#/tasks/%', '#code=abc', '#/elsewhere?x=1']) assert.deepEqual(routeOf(other), { route: { page: 'list' }, query: '' }, other);
});

test('what_is_asked_survives_its_way_through_the_address', () => {
  const query = 'status=RUNNING,FAILED&label=env%3Dprod&label=a%3Db%3Dc&text=x+%26+y&sort=time&reversed';
  assert.equal(queryOf(askedIn(query)), query);
  assert.equal(queryOf(askedIn('')), '');
  assert.equal(queryOf(askedIn('status=NOBODY&label=nothing&sort=sideways')), '', 'what is not known is not asked');
  assert.deepEqual([...askedIn(query).labels], [['env', 'prod'], ['a', 'b=c']]);
});

test('however_jobs_change_the_list_is_in_order_and_has_what_is_asked', () => {
  let state = 11;
  const below = (limit: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >> 8) % limit;
  };
  const statuses = [Status.CREATED, Status.RUNNING, Status.DONE, Status.FAILED];
  for (const query of ['', 'reversed', 'sort=status', 'sort=status&reversed', 'sort=time', 'sort=time&reversed', 'status=FAILED,RUNNING&sort=time', 'text=7', 'label=k%3D1']) {
    const asked = askedIn(query);
    const store = new Store();
    store.ask(asked);
    all(store);
    const truth = new Map<string, Job>();
    for (let step = 0; step < 400; step += 1) {
      const taskId = `t${String(below(60)).padStart(2, '0')}`;
      if (below(10) === 0) {
        truth.delete(taskId);
        store.apply({ kind: 'removed', taskIds: [taskId], completeSinceMs: 0 });
        continue;
      }
      const status = statuses[below(4)] as Status;
      const next = job({
        taskId, status, revision: (truth.get(taskId)?.revision ?? 0n) + 1n, url: `https://e/${taskId}`, done: status >= Status.DONE, labels: { k: String(below(2)) },
        ...(status !== Status.CREATED && { startedAt: at(1000 + below(50)) }), ...(status >= Status.DONE && { finishedAt: at(1100 + below(50)) }),
      });
      truth.set(taskId, next);
      store.apply({ kind: 'changed', job: next });
    }
    const compare = compareBy(asked.sort, asked.reversed);
    const expected = [...truth.values()]
      .filter((one) => (asked.statuses.size === 0 || asked.statuses.has(one.status)) && one.url.includes(asked.text) && [...asked.labels].every(([key, value]) => one.labels[key] === value))
      .map((one) => keyOf(asked.sort, one)).sort(compare).map(({ taskId }) => taskId);
    assert.ok(expected.length > 5, query);
    assert.deepEqual(shown(store), expected, query);
    for (const [index, taskId] of expected.entries()) assert.equal(store.view.indexOf(taskId), index);
    assert.equal(store.liveCount.value, [...truth.values()].filter(({ done }) => !done).length);
    for (const status of statuses) assert.equal(store.counts.value.get(status) ?? 0, [...truth.values()].filter((one) => one.status === status).length);
  }
});

test('a_change_looks_at_few_of_many', () => {
  const store = new Store();
  all(store, ...Array.from({ length: 5000 }, (_, number) => job({ taskId: String(number).padStart(5, '0') })));
  let looks = 0;
  const taskId = { valueOf: () => { looks += 1; return '02500x'; } } as unknown as string;
  store.apply({ kind: 'changed', job: { ...job({}), taskId } });
  assert.equal(store.view.indexOf(taskId), 2499);
  // Two searches, and each step looks at most twice.
  assert.ok(looks > 10 && looks <= 2 * 2 * 13, `${looks}`);
});

test('what_runs_stays_in_place_as_time_passes', () => {
  const [older, newer, over] = [job({ taskId: 'a', startedAt: at(10) }), job({ taskId: 'b', startedAt: at(20) }), job({ taskId: 'c', startedAt: at(0), finishedAt: at(900) })];
  const order = (reversed: boolean) => [newer, over, older].map((one) => keyOf('time', one)).sort(compareBy('time', reversed)).map(({ taskId }) => taskId).join('');
  assert.equal(order(false), 'abc');
  assert.equal(order(true), 'bac');
});

test('a_revision_that_was_not_told_shows', () => {
  const store = new Store();
  all(store, job({ taskId: 'a', revision: 3n }));
  store.apply({ kind: 'changed', job: job({ taskId: 'a', revision: 4n }) });
  assert.equal(store.row('a')?.told, 4n);
  all(store, job({ taskId: 'a', revision: 9n }));
  assert.equal(store.row('a')?.told, 5n);
});

test('an_end_is_told_once_and_not_for_what_was_over_before', async () => {
  const store = new Store();
  const told: string[] = [];
  store.onEnded = (jobs) => told.push(...jobs.map(({ taskId }) => taskId));
  all(store, job({ taskId: 'over', done: true }), job({ taskId: 'live' }));
  store.apply({ kind: 'changed', job: job({ taskId: 'live', revision: 2n, done: true }) });
  store.apply({ kind: 'changed', job: job({ taskId: 'live', revision: 3n, done: true }) });
  await Promise.resolve();
  assert.deepEqual(told, ['live']);
});

test('readings_go_with_a_heartbeat_that_has_none', () => {
  const store = new Store();
  all(store, job({ taskId: 'a' }), job({ taskId: 'b' }));
  store.apply({ kind: 'samples', samples: { a: create(SampleSchema, { progress: 1 }), b: create(SampleSchema, { progress: 2 }) }, whole: false });
  store.apply({ kind: 'samples', samples: { b: create(SampleSchema, { progress: 3 }) }, whole: true });
  assert.equal(store.row('a')?.sample.value, undefined);
  assert.equal(store.row('b')?.sample.value?.progress, 3);
});

test('only_rows_in_sight_and_some_beyond_are_drawn', () => {
  const sight = { height: 800, rowHeight: 50, rowCount: 5000 };
  assert.deepEqual(drawn({ ...sight, top: 10_000 }), { from: 200 - BEYOND, to: 216 + BEYOND });
  assert.deepEqual(drawn({ ...sight, top: -300 }), { from: 0, to: 10 + BEYOND });
  assert.deepEqual(drawn({ ...sight, top: 249_500 }), { from: 4990 - BEYOND, to: 5000 });
  assert.deepEqual(drawn({ ...sight, top: 0, rowCount: 3 }), { from: 0, to: 3 });
  assert.deepEqual(drawn({ ...sight, top: -9000 }), { from: 0, to: 0 });
});

test('older_tasks_are_asked_for_once_and_end_at_their_bound', async () => {
  const asked: MessageInitShape<typeof ListJobsRequestSchema>[] = [];
  let number = 0;
  const page = () => Array.from({ length: 1000 }, () => job({ taskId: String((number += 1)), done: true }));
  const calls = { listJobs: async (request: MessageInitShape<typeof ListJobsRequestSchema>) => { asked.push(request); return create(ListJobsResponseSchema, { jobs: page(), nextPageToken: String(number) }); } } as unknown as Calls;
  const store = new Store();
  store.completeSinceMs = 1_700_000_000_250;
  const history = new History(calls, store);
  const wanted = askedIn('status=DONE&label=k%3Dv&text=x');
  await Promise.all([history.ask(wanted), history.ask(wanted)]);
  assert.equal(asked.length, 1, 'one press at a time');
  assert.deepEqual(asked[0], { pageSize: 100, filter: { labels: { k: 'v' }, urlContains: 'x', createdBefore: { seconds: 1_700_000_000n, nanos: 250_000_000 } }, statuses: [Status.DONE] });
  while (history.reach.value.state === 'more') await history.ask(wanted);
  assert.deepEqual([history.reach.value.state, store.size], ['full', OLDER_MAX]);
  history.forget();
  assert.equal(history.reach.value.state, 'more');
});

test('tasks_that_were_let_go_are_among_the_older_ones_then', async () => {
  const asked: MessageInitShape<typeof ListJobsRequestSchema>[] = [];
  const [older, gone] = [job({ taskId: 'a', done: true }), job({ taskId: 'b', done: true })];
  const answers = [[older], [gone, older]];
  const calls = { listJobs: async (request: MessageInitShape<typeof ListJobsRequestSchema>) => {
    asked.push(request);
    return create(ListJobsResponseSchema, { jobs: answers.shift() ?? [] });
  } } as unknown as Calls;
  const store = new Store();
  const history = new History(calls, store);
  store.apply({ kind: 'all', jobs: [gone], samples: {}, completeSinceMs: 1000 });
  await history.ask(askedIn(''));
  assert.equal(history.reach.value.state, 'end');
  store.apply({ kind: 'removed', taskIds: ['c'], completeSinceMs: 1000 });
  assert.equal(history.reach.value.state, 'end', 'what the service forgot is not to be had');
  store.apply({ kind: 'removed', taskIds: ['b'], completeSinceMs: 3000 });
  assert.equal(history.reach.value.state, 'more');
  await history.ask(askedIn(''));
  assert.deepEqual(asked.map(({ filter }) => filter?.createdBefore), [at(1), at(3)]);
  assert.deepEqual([...store.rows()].map(({ job: { value } }) => value.taskId).sort(), ['a', 'b']);
});

test('what_came_for_another_filter_is_dropped', async () => {
  let answer = (_: unknown) => {};
  const calls = { listJobs: () => new Promise((resolve) => { answer = resolve; }) } as unknown as Calls;
  const store = new Store();
  const history = new History(calls, store);
  const asking = history.ask(askedIn(''));
  history.begin();
  answer(create(ListJobsResponseSchema, { jobs: [job({ taskId: 'a', done: true })] }));
  await asking;
  assert.deepEqual([store.size, history.reach.value.state], [0, 'more']);
});

test('notices_are_few_and_take_each_others_place', () => {
  const notices = new Notices();
  const first = notices.say('live', 'one');
  notices.say('bad', 'two', { instead: first });
  assert.deepEqual(notices.shown.value.map(({ words }) => words), ['two']);
  for (let count = 0; count < 9; count += 1) notices.say('bad', String(count));
  assert.deepEqual(notices.shown.value.map(({ words }) => words), ['5', '6', '7', '8']);
});

test('title_and_icon_say_how_many', () => {
  assert.equal(titleOf({ running: 0, failed: 0 }), 'Comet Task Runner');
  assert.equal(titleOf({ running: 3, failed: 1 }), '(3 running, 1 failed) Comet Task Runner');
  const icons = [[0, 0], [3, 0], [3, 1], [0, 1], [0, 50]].map(([running = 0, failed = 0]) => iconOf({ running, failed }));
  assert.equal(new Set(icons).size, icons.length);
});

test('an_action_says_what_came_of_it', async () => {
  const calls = (answer: unknown) => ({ cancelJob: async () => answer }) as unknown as Calls;
  const words = async (fields: MessageInitShape<typeof JobSchema>) => {
    const done = await cancel(calls({ job: job(fields) }), 'a');
    return done.problem ? done.problem.words : done.words;
  };
  assert.equal(await words({ status: Status.STOPPING }), 'The task is told to end.');
  assert.equal(await words({ status: Status.CANCELLED, done: true }), 'The task is cancelled.');
  assert.equal(await words({ status: Status.DONE, done: true }), 'The task is over; a browser that was kept open is told to close.');
  const failing = { cancelJob: async () => { throw new TypeError('Failed to fetch'); } } as unknown as Calls;
  assert.equal((await cancel(failing, 'a')).problem?.words, 'The service cannot be reached.');
});
