import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, mock, test } from 'node:test';

import { createGrpcWebTransport } from '@connectrpc/connect-node';

import { open as openTask } from '../../src/actions.ts';
import { type Calls, callsOver, watchJobs } from '../../src/client.ts';
import { WatchJobsResponse_Kind as Kind, type WatchJobsResponse } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { Jobs } from '../../src/jobs.ts';
import { type Connection, endOf, RETRY_MAX_MS, RETRY_MIN_MS, retryDelay, scoped, SILENCE_MAX_MS, Subscription, type World } from '../../src/stream.ts';
import { Fake } from '../fake.ts';

/** A subscription, and everything that it said. */
class Watched {
  readonly jobs = new Jobs();
  readonly said: Connection[] = [];
  readonly complaints: string[] = [];
  readonly revisions: string[] = [];
  readonly #end = new AbortController();
  readonly subscription: Subscription;
  readonly #running: Promise<void>;
  #heard = () => {};

  constructor(open: World['open'], token = 'good') {
    this.subscription = new Subscription(this.jobs, {
      open,
      say: (connection) => { this.said.push(connection); this.#heard(); },
      tell: (effect) => {
        if (effect.kind === 'changed') this.revisions.push(`${effect.job.taskId.slice(-1)}${effect.job.revision}`);
        this.#heard();
      },
      complain: (words) => this.complaints.push(words),
    });
    this.subscription.useToken(token);
    this.#running = this.subscription.run(this.#end.signal);
  }

  get states(): string[] {
    return this.said.map(({ state }) => state);
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(new Error(`${what} does not come true: ${this.states.join(', ')}`)), 10_000);
    });
    while (!holds()) await Promise.race([new Promise<void>((resolve) => { this.#heard = resolve; }), timeout]);
    clearTimeout(late);
  }

  /** The connection stands so, for the `times`-th time. */
  stands(state: Connection['state'], times = 1): Promise<void> {
    return this.until(`${times} times ${state}`, () => this.states.filter((said) => said === state).length >= times);
  }

  async leave(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }
}

describe('a subscription', () => {
  let fake: Fake;
  let calls: Calls;
  let watched: Watched | undefined;
  const watch = (token = 'good'): Watched => {
    watched = new Watched((shown, resumeToken, signal) => watchJobs(calls, shown, resumeToken, signal), token);
    return watched;
  };
  beforeEach(async () => {
    fake = await new Fake().start();
    calls = callsOver(createGrpcWebTransport({ baseUrl: fake.url, httpVersion: '1.1' }));
  });
  afterEach(async () => {
    await watched?.leave();
    await fake.until('the stream is gone', () => fake.openStreams === 0);
    await fake.kill();
  });

  test('goes_on_after_a_cut_and_applies_each_change_once', async () => {
    const a = fake.taskId();
    fake.change(a, {});
    const page = watch();
    await page.stands('live');
    fake.change(a, {});
    await page.until('revision 2', () => page.revisions.length === 1);
    fake.cut();
    await page.stands('reconnecting');
    fake.change(a, {});
    fake.change(a, {});
    await page.stands('live', 2);
    assert.deepEqual(page.revisions, ['12', '13', '14']);
    assert.deepEqual(fake.watched.map(({ resumeToken }) => resumeToken), ['', 'a:2']);
    assert.deepEqual(page.complaints, []);
  });

  test('waits_as_long_as_a_draining_service_asks', async () => {
    const page = watch();
    await page.stands('live');
    const drained = Date.now();
    fake.drain(400);
    await page.stands('live', 2);
    assert.ok(Date.now() - drained >= 400, `${Date.now() - drained} ms`);
    assert.deepEqual(page.states, ['connecting', 'live', 'draining', 'draining', 'live']);
    assert.deepEqual(fake.watched.map(({ resumeToken }) => resumeToken), ['', 'a:0']);
  });

  test('asks_for_another_token_when_its_own_is_refused', async () => {
    const page = watch('bad');
    await page.until('the token is refused', () => page.said.some((said) => said.state === 'token needed' && said.refused === 'bad'));
    // Not because a tab still has it, and not by itself; only when somebody gives it again.
    page.subscription.offerToken('bad');
    page.subscription.wake();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(page.states.at(-1), 'token needed');
    assert.ok(!page.states.slice(2).includes('connecting'), page.states.join());
    page.subscription.useToken('bad');
    await fake.until('it is tried again', () => fake.refusals === 2);
    await page.stands('token needed', 3);
    page.subscription.useToken('good');
    await page.stands('live');
    assert.equal(fake.watched.length, 1);
  });

  test('drops_its_token_when_a_call_was_refused', async () => {
    const page = watch();
    await page.stands('live');
    page.subscription.refuse('another');
    page.subscription.refuse('good');
    await page.until('the token is refused', () => page.said.some((said) => said.state === 'token needed' && said.refused === 'good'));
    await fake.until('the stream is gone', () => fake.openStreams === 0);
  });

  test('shows_another_token_at_once_over_a_living_stream_and_goes_on_where_it_was', async () => {
    const a = fake.taskId();
    fake.change(a, {});
    const page = watch();
    await page.stands('live');
    fake.tokens.add('another');
    // Only the new one is good from here on.
    fake.tokens.delete('good');
    page.subscription.useToken('another');
    fake.change(a, {}, 'lose');
    await page.stands('live', 2);
    assert.deepEqual(page.states, ['connecting', 'live', 'connecting', 'live'], 'nothing is wrong with the connection');
    assert.deepEqual(page.revisions, ['12']);
    assert.deepEqual([fake.watched.map(({ resumeToken }) => resumeToken), fake.refusals], [['', 'a:1'], 0]);
  });

  test('tries_another_token_at_once_in_the_midst_of_a_wait', async () => {
    const page = watch();
    await page.stands('live');
    fake.drain(999);
    await page.until('it waits', () => page.said.some((said) => said.state === 'draining' && said.nextTryAt !== undefined));
    fake.tokens.add('another');
    const given = Date.now();
    page.subscription.useToken('another');
    await page.stands('live', 2);
    assert.ok(Date.now() - given < 900, `${Date.now() - given} ms`);
  });

  test('heals_a_hole_by_a_fresh_snapshot_and_complains', async () => {
    const a = fake.taskId();
    fake.change(a, {});
    const page = watch();
    await page.stands('live');
    fake.change(a, {}, 'lose');
    fake.change(a, {});
    await page.stands('live', 2);
    assert.deepEqual(fake.watched.map(({ resumeToken }) => resumeToken), ['', '']);
    assert.equal(page.jobs.all()[0]?.revision, 3n);
    assert.equal(page.complaints.length, 1);
    assert.match(page.complaints[0] ?? '', /missed a change .* revision 3 came after 1/);
  });

  test('starts_afresh_with_another_store', async () => {
    fake.change(fake.taskId(), {});
    const page = watch();
    await page.stands('live');
    fake.replaceStore();
    const b = fake.taskId();
    fake.change(b, {}, 'lose');
    fake.cut();
    await page.stands('live', 2);
    assert.deepEqual(page.jobs.all().map(({ taskId }) => taskId), [b]);
  });

  test('tries_at_once_when_woken', async () => {
    const page = watch();
    await page.stands('live');
    await fake.kill();
    // Until the waits are long enough that only the waking can explain the haste.
    await page.until('a long wait', () => page.said.some((said) => said.state === 'reconnecting' && (said.nextTryAt ?? 0) - Date.now() > 1500));
    await fake.start();
    const woken = Date.now();
    page.subscription.wake();
    await page.stands('live', 2);
    assert.ok(Date.now() - woken < 1200, `${Date.now() - woken} ms`);
  });

  test('an_execute_whose_answer_is_lost_makes_one_job', async () => {
    fake.unanswered = 2;
    const retries: string[] = [];
    const { problem } = await openTask(callsAs('good'), { url: 'http://example.test/' }, ({ words }) => retries.push(words));
    assert.equal(problem, undefined);
    assert.equal(fake.jobs.size, 1);
    assert.equal(new Set(fake.executed.map(({ requestId }) => requestId)).size, 1);
    assert.equal(fake.executed.length, 3);
    assert.equal(retries.length, 2);
  });

  test('an_execute_that_is_refused_says_why_and_is_not_repeated', async () => {
    const { problem } = await openTask(callsAs('good'), { url: 'ftp://example.test/' }, () => assert.fail('it is not tried again'));
    assert.equal(problem?.reason, 'URL_INVALID');
    assert.deepEqual(problem?.faults, [{ field: 'url', description: 'The scheme must be http or https.' }]);
    assert.equal((await openTask(callsAs('bad'), { url: 'http://example.test/' }, () => assert.fail('it is not tried again'))).problem?.code, 'unauthenticated');
  });

  function callsAs(token: string): Calls {
    const interceptors = [(next: (request: never) => never) => (request: { header: Headers }) => {
      request.header.set('authorization', `Bearer ${token}`);
      return next(request as never);
    }] as never[];
    return callsOver(createGrpcWebTransport({ baseUrl: fake.url, httpVersion: '1.1', interceptors }));
  }
});

describe('leaving a loop', () => {
  let fake: Fake;
  before(async () => { fake = await new Fake().start(); });
  after(() => fake.kill());

  test('ends_the_stream_at_the_service', async () => {
    const calls = callsOver(createGrpcWebTransport({ baseUrl: fake.url, httpVersion: '1.1' }));
    for await (const message of scoped((signal) => watchJobs(calls, 'good', '', signal))) {
      assert.equal(message.kind, Kind.SYNCED);
      assert.equal(fake.openStreams, 1);
      break;
    }
    await fake.until('the stream is gone', () => fake.openStreams === 0);
  });

  test('raises_the_signal_however_it_is_left', async () => {
    const signals: AbortSignal[] = [];
    async function* numbers(signal: AbortSignal): AsyncGenerator<number> {
      signals.push(signal);
      yield 1;
      yield 2;
    }
    for await (const number of scoped(numbers)) if (number === 1) break;
    for await (const _ of scoped(numbers)) assert.equal(signals.at(-1)?.aborted, false);
    await assert.rejects(async () => { for await (const number of scoped(numbers)) throw new Error(String(number)); });
    const outer = new AbortController();
    for await (const _ of scoped(numbers, outer.signal)) outer.abort();
    assert.deepEqual(signals.map(({ aborted }) => aborted), [true, true, true, true]);
  });
});

describe('silence', () => {
  /** Says one thing, then nothing until it is cut. */
  async function* silent(signal: AbortSignal): AsyncGenerator<WatchJobsResponse> {
    yield { kind: Kind.SYNCED, samples: [], resumeToken: '1', taskId: '', reset: false } as never;
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }
  /** Lets everything happen that needs no time. */
  const settle = async () => { for (let turn = 0; turn < 50; turn += 1) await Promise.resolve(); };
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 }));
  afterEach(() => mock.timers.reset());

  const start = () => new Watched((_token, _resumeToken, signal) => silent(signal));

  test('of_two_heartbeats_is_the_end_of_a_stream', async () => {
    const page = start();
    await settle();
    mock.timers.tick(SILENCE_MAX_MS - 1);
    await settle();
    assert.deepEqual(page.states, ['connecting', 'live']);
    mock.timers.tick(1);
    await settle();
    assert.deepEqual(page.states, ['connecting', 'live', 'reconnecting']);
    const said = page.said.at(-1);
    assert.match(said?.state === 'reconnecting' ? said.why : '', /silent/);
    mock.timers.tick(RETRY_MAX_MS);
    await settle();
    assert.deepEqual(page.states.slice(-2), ['reconnecting', 'live']);
    await page.leave();
  });

  test('while_the_machine_slept_is_noticed_when_it_wakes', async () => {
    const page = start();
    await settle();
    page.subscription.wake();
    await settle();
    assert.deepEqual(page.states, ['connecting', 'live'], 'a stream that was just heard is left alone');
    // The wall clock goes on in sleep, and timers do not.
    mock.timers.setTime(1_000_000 + SILENCE_MAX_MS + 1);
    page.subscription.wake();
    await settle();
    assert.equal(page.states[2], 'reconnecting');
    await page.leave();
  });
});

test('waits_double_up_to_their_cap_and_are_spread', () => {
  assert.equal(retryDelay(0, 1), RETRY_MIN_MS);
  assert.equal(retryDelay(0, 0), RETRY_MIN_MS / 2);
  assert.equal(retryDelay(3, 1), RETRY_MIN_MS * 8);
  assert.equal(retryDelay(1000, 1), RETRY_MAX_MS);
});

test('a_stale_resume_token_is_not_used_again', () => {
  const problem = { words: '', faults: [] };
  assert.deepEqual(endOf({ ...problem, code: 'refused', reason: 'RESUME_TOKEN_INVALID' }), { kind: 'stale token' });
  assert.deepEqual(endOf({ ...problem, code: 'unauthenticated' }), { kind: 'unauthenticated' });
});
