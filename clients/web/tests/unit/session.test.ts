import assert from 'node:assert/strict';
import { afterEach, mock, test } from 'node:test';

import { buySession } from '../../src/session.ts';

afterEach(() => mock.restoreAll());

const answers = (answer: (options: RequestInit) => Promise<unknown>) =>
  mock.method(globalThis, 'fetch', (_: string, options: RequestInit) => answer(options));

test('a_session_is_bought_with_a_code', async () => {
  answers(async () => new Response('{"token":"t"}'));
  assert.deepEqual(await buySession('once'), { token: 't' });
});

test('an_answer_that_is_cut_off_is_said_and_breaks_nothing', async () => {
  answers(async () => ({ ok: true, text: () => Promise.reject(new TypeError('network error')) }));
  assert.deepEqual(await buySession('once'), { problem: 'The service cannot be reached.' });
});

test('a_service_that_never_answers_is_not_waited_for_without_end', async () => {
  const late = new AbortController();
  const timeout = mock.method(AbortSignal, 'timeout', () => late.signal);
  answers(({ signal }) => new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error))));
  const bought = buySession('once');
  assert.ok(Number(timeout.mock.calls[0]?.arguments[0]) <= 15_000);
  late.abort(new DOMException('timed out', 'TimeoutError'));
  assert.deepEqual(await bought, { problem: 'The service did not answer in time.' });
});
