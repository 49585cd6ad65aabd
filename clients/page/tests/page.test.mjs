// A task's page in a real Chromium reports to the real service: through the browser, and over HTTP.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { Pages } from './pages.mjs';
import { ROOT, Service, SOON_MS } from './service.mjs';

const { CHROMIUM } = process.env;
const STUB = `${ROOT}target/tmp/stub_browser`;

/** Reports by itself, with what it saw of its own address. */
const reports = (headers) => ({
  headers,
  body: `<!doctype html><script type="module">
    import { cometTask } from './comet-task.js';
    const task = cometTask(new URLSearchParams(location.search).get('service') ?? undefined);
    await task.progress(40, 'reading');
    await task.done({ hash: location.hash, kept: sessionStorage.length, text: '7' });
  </script>`,
});
const PAGES = {
  // A policy that lets nothing out: what comes through took no network.
  '/closed.html': reports({ 'content-security-policy': "connect-src 'none'" }),
  '/reports.html': reports({}),
  '/idle.html': { body: '<!doctype html><title>idle</title>' },
};

describe('a page that is a task', () => {
  let pages, service;
  before(async () => {
    pages = await new Pages(PAGES).start();
    service = await new Service({ args: ['--slots', '4', '--browser', `stub=${STUB},exit-only`] }).start();
  });
  after(async () => {
    await service.remove();
    pages.stop();
  });

  /** Opens it in a Chromium of the service, and gives the job at its end. */
  async function runs(path, request) {
    const url = `${pages.url}${path}?service=${encodeURIComponent(service.url)}&seconds=0.2`;
    const { taskId } = await service.call('Execute', { url, browser: 'chromium', mode: 'HEADLESS', ...request });
    return service.ended(taskId);
  }
  const REPORTED = { status: 'DONE', reason: 'CALLBACK' };
  const FRAGMENT = { tier: 'EXIT_ONLY', callbackDelivery: 'FRAGMENT' };
  const told = ({ status, reason, callback }) => ({ status, reason, result: JSON.parse(callback.result) });

  test('reports_through_a_managed_browser_without_any_network', async () => {
    assert.deepEqual(told(await runs('/closed.html')), { ...REPORTED, result: { hash: '', kept: 0, text: '7' } });
  });

  test('reports_over_http_from_a_browser_of_which_only_the_exit_is_known', async () => {
    assert.deepEqual(told(await runs('/reports.html', FRAGMENT)), { ...REPORTED, result: { hash: '', kept: 1, text: '7' } });
  });

  test('reports_over_http_from_firefox', async (test) => {
    const { browsers } = await service.call('GetRunner', {});
    if (!browsers.some(({ name }) => name === 'firefox')) {
      assert.ok(!process.env.CI, 'Firefox is not installed; tests/install.sh all installs it');
      return test.skip('Firefox is not installed');
    }
    const job = await runs('/reports.html', { ...FRAGMENT, browser: 'firefox' });
    assert.deepEqual(told(job), { ...REPORTED, result: { hash: '', kept: 1, text: '7' } });
  });

  test('is_told_its_token_and_yet_reports_through_a_managed_browser', async () => {
    const job = await runs('/closed.html', { callbackDelivery: 'FRAGMENT' });
    assert.deepEqual(told(job), { ...REPORTED, result: { hash: '', kept: 1, text: '7' } });
  });

  test('works_as_the_example_shows_in_both_ways', async () => {
    for (const request of [{}, FRAGMENT]) {
      assert.deepEqual(told(await runs('/example.html', request)), { ...REPORTED, result: { steps: 10 } });
    }
  });

  describe('over HTTP', { timeout: 4 * SOON_MS }, () => {
    let browser, context, page, task, sent;
    before(async () => { browser = await chromium.launch({ executablePath: CHROMIUM, args: process.getuid() === 0 ? ['--no-sandbox'] : [] }); });
    after(() => browser.close());
    beforeEach(async () => {
      // The task's browser is a stub that does nothing; its page is opened here, where it can be asked.
      task = await service.call('Execute', { url: 'http://stub.test/sleep', browser: 'stub', callbackDelivery: 'FRAGMENT', callbackOrigins: [pages.url] });
      context = await browser.newContext();
      page = await context.newPage();
      page.setDefaultTimeout(SOON_MS);
      sent = [];
      page.on('request', (request) => {
        if (request.url().endsWith('/callback')) sent.push(request.postDataJSON());
      });
    });
    afterEach(async () => {
      await context.close();
      await service.call('CancelJob', { taskId: task.taskId, force: true });
    });

    const token = () => `#ctr=${task.taskId}.${task.callbackToken}`;
    async function open(address) {
      await page.goto(address);
      await load();
    }
    const load = () => page.evaluate(async (service) => {
      const { cometTask } = await import('/comet-task.js');
      window.task = cometTask(service);
    }, service.url);
    /** What a call came to, its refusal included. */
    const says = (call) => page.evaluate(async (call) => {
      try {
        return await Function(`return window.task.${call}`)();
      } catch (error) {
        return `${error.name}: ${error.message}`;
      }
    }, call);
    const status = async () => (await service.call('GetStatus', { taskId: task.taskId }));

    test('the_token_leaves_the_address_and_outlives_a_reload_and_a_way_elsewhere', async () => {
      await open(`${pages.url}/idle.html?a=1${token()}`);
      assert.equal(page.url(), `${pages.url}/idle.html?a=1`);
      await page.reload();
      await page.goto('about:blank');
      await open(`${pages.url}/idle.html?b=2`);
      assert.equal(await says('progress(39.6, "on")'), false);
      const { sample } = await status();
      assert.deepEqual([sample.progress, sample.progressMessage], [40, 'on']);
    });

    test('a_page_hears_that_somebody_asked_to_cancel', async () => {
      await open(`${pages.url}/idle.html${token()}`);
      assert.equal(await says('progress(1)'), false);
      await service.call('CancelJob', { taskId: task.taskId });
      assert.equal(await says('progress(2)'), true);
    });

    test('reports_arrive_in_the_order_in_which_they_were_made', async () => {
      await open(`${pages.url}/idle.html${token()}`);
      let held;
      const first = new Promise((next) => {
        void page.route('**/callback', (route) => { held = route; next(); }, { times: 1 });
      });
      const told = page.evaluate(() => Promise.all([10, 20, 30].map((n) => window.task.progress(n)).concat(window.task.done('over'))));
      await first;
      await page.evaluate(() => new Promise(requestAnimationFrame));
      assert.equal(sent.length, 1, 'the next one waits for the answer to the first');
      await held.continue();
      await told;
      assert.deepEqual(sent.map((report) => report.progress ?? report.status), [10, 20, 30, 'DONE']);
      const job = await service.ended(task.taskId);
      assert.deepEqual([job.status, job.callback.result], ['DONE', '"over"']);
    });

    test('an_end_is_told_over_a_restart_of_the_service', async () => {
      await open(`${pages.url}/idle.html${token()}`);
      await service.stop('SIGKILL');
      const failed = page.waitForEvent('requestfailed');
      const done = says('done({ rows: 3 })');
      await failed;
      await service.start();
      assert.equal(await done, false);
      const job = await service.ended(task.taskId);
      assert.deepEqual([job.status, job.reason, job.callback.result], ['DONE', 'CALLBACK', '{"rows":3}']);
    });

    test('a_lost_sign_of_life_is_no_error', async () => {
      await open(`${pages.url}/idle.html${token()}`);
      await page.route('**/callback', (route) => route.abort());
      assert.equal(await says('progress(5)'), false);
      assert.equal(sent.length, 1);
    });

    test('another_end_is_refused_in_the_words_of_the_service', async () => {
      await open(`${pages.url}/idle.html${token()}`);
      assert.equal(await says('done()'), false);
      assert.match(await says('fail("no")'), /^Error: .*already/);
      assert.equal(sent.length, 2, 'what was refused is not tried again');
      assert.equal((await status()).job.callback.status, 'DONE');
    });

    test('a_reload_after_the_end_is_nothing_of_the_tasks', async () => {
      await open(`${pages.url}/idle.html${token()}`);
      assert.equal(await says('done()'), false);
      await page.reload();
      await load();
      assert.equal(await says('fail("again")'), false);
      assert.equal(sent.length, 1);
    });

    test('a_page_that_may_not_report_is_told_so_after_eight_tries', async () => {
      await page.addInitScript(() => { window.setTimeout = (next) => queueMicrotask(next); });
      await open(`${pages.url.replace('127.0.0.1', 'localhost')}/idle.html${token()}`);
      assert.match(await says('done()'), new RegExp(`^Error: ${service.url}/callback takes no report from http://localhost:`));
      assert.equal(sent.length, 8);
      assert.equal((await status()).job.status, 'RUNNING');
    });

    test('words_of_any_length_and_kind_are_told_as_far_as_there_is_room', async () => {
      await open(`${pages.url}/idle.html${token()}`);
      await says("progress(1, '€'.repeat(9000))");
      assert.equal((await status()).sample.progressMessage, '€'.repeat(1300));
      // Cut through the middle of a sign, with half of another one before it.
      await says("fail('\\ud800' + '\\ud83d\\ude00'.repeat(900))");
      assert.equal((await service.ended(task.taskId)).callback.message, `\ufffd${'😀'.repeat(649)}\ufffd`);
    });

    test('a_page_that_a_person_opened_tells_nothing_and_meets_no_error', async () => {
      await open(`${pages.url}/idle.html#part-two`);
      for (const call of ['progress(1)', 'done({})', 'fail("no")']) assert.equal(await says(call), false, call);
      assert.deepEqual(sent, []);
      assert.equal(page.url(), `${pages.url}/idle.html#part-two`, 'its own fragment is left alone');
    });
  });
});
