// The form over steps to other pages, in a real browser: what is written stays, and what came of it is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import type { Page } from 'playwright-core';

import type { ExecuteRequest } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import { ErrorInfoSchema } from '../../src/gen/google/rpc/error_details_pb.ts';
import type { Fake } from '../fake.ts';
import { JobFake } from '../job-fake.ts';
import { beforeFake, connection, open, signedIn } from './support.ts';

let fake: Fake;
/** Executes that wait for their answer. */
let waiting: ((refusal: ConnectError) => void)[];

const at = beforeFake((made) => {
  fake = made;
  new JobFake(fake);
  waiting = [];
  fake.more.execute = async ({ validateOnly }: ExecuteRequest, execution: HandlerContext) => {
    fake.admit(execution);
    if (validateOnly) return {};
    throw await new Promise<ConnectError>((resolve) => {
      waiting.push(resolve);
      fake.happened();
    });
  };
  fake.change(fake.taskId(), { url: 'http://example.test/other' });
}, signedIn);

async function enter(): Promise<Page> {
  const page = await open(at.context, fake.url);
  await connection(page, 'Live');
  return page;
}

const field = (page: Page) => page.getByLabel('Address to open');
const toTheOther = async (page: Page) => {
  await page.getByRole('link', { name: 'http://example.test/other' }).click();
  await page.getByRole('heading', { name: /^Waiting/ }).waitFor();
  assert.equal(await field(page).count(), 0);
};
const back = (page: Page) => page.getByRole('link', { name: 'All tasks' }).click();
const refusal = (words: string, code: Code, reason: string) => new ConnectError(words, code, undefined, [{ desc: ErrorInfoSchema, value: { reason, domain: 'taskrunner.comet' } }]);

async function execute(page: Page, url: string): Promise<void> {
  await field(page).fill(url);
  await page.keyboard.press('Enter');
  await fake.until('it is asked for', () => waiting.length === 1);
}

test('what_is_half_written_is_still_there_after_a_look_at_a_task', async () => {
  const page = await enter();
  await field(page).fill('http://example.test/half');
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByLabel('Labels').fill('team=docs');
  await toTheOther(page);
  await back(page);
  assert.equal(await field(page).inputValue(), 'http://example.test/half');
  assert.equal(await page.getByLabel('Labels').inputValue(), 'team=docs');
});

test('a_task_that_could_not_be_opened_is_told_of_on_whichever_page_one_is', async () => {
  const page = await enter();
  await execute(page, 'http://example.test/refused');
  await toTheOther(page);
  waiting[0]?.(refusal('the queue is full', Code.ResourceExhausted, 'QUEUE_FULL'));
  await page.locator('.notice').filter({ hasText: 'http://example.test/refused: The queue is full.' }).waitFor();
  await back(page);
  assert.equal(await field(page).inputValue(), 'http://example.test/refused');
  await page.getByRole('alert').filter({ hasText: /^The queue is full\.$/ }).waitFor();
});

test('an_address_that_was_not_opened_for_want_of_a_token_is_there_once_there_is_one', async () => {
  const page = await enter();
  await execute(page, 'http://example.test/late');
  fake.tokens.delete('good');
  fake.tokens.add('better');
  waiting[0]?.(refusal('no valid token', Code.Unauthenticated, 'TOKEN_INVALID'));
  await connection(page, 'Token needed');
  await page.locator('.notice').filter({ hasText: 'http://example.test/late: No valid token.' }).waitFor();
  await page.getByLabel('Link or token').fill('better');
  await page.keyboard.press('Enter');
  await connection(page, 'Live');
  await field(page).waitFor();
  assert.equal(await field(page).inputValue(), 'http://example.test/late');
  assert.equal(await page.locator('form').getByRole('alert').filter({ hasText: /./ }).count(), 0, 'and nothing is wrong with it any more');
});
