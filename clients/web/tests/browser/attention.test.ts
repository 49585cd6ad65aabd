// What is told without being asked for, in a real browser: ends where notifications cannot be shown, and problems of the runner.

import assert from 'node:assert/strict';
import { test } from 'node:test';



import { ASK_AGAIN_MS } from '../../src/acquaintance.ts';
import { Job_Reason as Reason, Job_Status as Status } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { Fake } from '../fake.ts';
import { JobFake, now } from '../job-fake.ts';
import { beforeFake, connection, open, signedIn } from './support.ts';

let fake: Fake;

const at = beforeFake((made) => {
  fake = made;
  new JobFake(fake);
}, signedIn);

test('a_browser_that_cannot_notify_shows_the_end_all_the_same_and_takes_the_offer_back', async () => {
  // As Chrome on Android has it.
  await at.context.addInitScript(() => {
    class Forbidden {
      static permission = 'granted';
      constructor() { throw new TypeError('Illegal constructor. Use ServiceWorkerRegistration.showNotification() instead.'); }
    }
    let hidden = false;
    Object.defineProperty(document, 'visibilityState', { get: () => (hidden ? 'hidden' : 'visible') });
    Object.assign(globalThis, { Notification: Forbidden, hide: () => { hidden = true; document.dispatchEvent(new Event('visibilitychange')); } });
  });
  const taskId = fake.taskId();
  fake.change(taskId, {});
  fake.change(taskId, { status: Status.RUNNING, reason: Reason.LAUNCHED, startedAt: now(), isProcessAlive: true });
  const page = await open(at.context, `${fake.url}/#/tasks/${taskId}`);
  await connection(page, 'Live');
  await page.getByRole('button', { name: 'Notify me when tasks end' }).click();
  await page.getByRole('heading', { name: /^Running/ }).waitFor();
  await page.evaluate(() => (globalThis as unknown as { hide(): void }).hide());
  fake.change(taskId, { status: Status.DONE, reason: Reason.PAGE_CLOSED, done: true, finishedAt: now(), isProcessAlive: false });
  await page.getByRole('heading', { name: /^Done/ }).waitFor();
  await page.getByRole('button', { name: /^Notif/ }).waitFor({ state: 'detached' });
  await page.reload();
  assert.equal(await page.getByRole('button', { name: 'Notifications are on' }).count(), 0);
});

test('what_stands_in_the_way_of_tasks_comes_and_goes_while_somebody_looks', async () => {
  // The clock of the page can be moved, that of a worker cannot.
  await at.context.addInitScript(() => { delete (globalThis as { SharedWorker?: unknown }).SharedWorker; });
  await at.context.clock.install();
  const taskId = fake.taskId();
  fake.change(taskId, {});
  const page = await open(at.context, fake.url);
  await connection(page, 'Live');
  await page.getByText('Version 1.2.3').waitFor();
  const problem = page.getByText('the disk is full; make room');
  fake.problems = [{ what: 'the disk is full', remedy: 'make room' }];
  /** Lets so much time pass, in which the service is heard of: its silence is not what is tried here. */
  const pass = async (words: string) => {
    for (let part = 1; part <= 2; part += 1) {
      fake.change(taskId, { status: Status.RUNNING, reason: Reason.LAUNCHED, message: `${words} ${part}` });
      await page.getByText(`${words} ${part}`).waitFor();
      await at.context.clock.fastForward(ASK_AGAIN_MS / 2);
    }
  };
  await pass('first');
  await problem.waitFor();
  fake.problems = [];
  await pass('then');
  await problem.waitFor({ state: 'detached' });
  assert.equal(fake.watched.length, 1);
});
