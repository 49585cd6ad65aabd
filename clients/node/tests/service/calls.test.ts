// The calls before the real service.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { ChangeKind, JobsKind, Reason, resultOf, Runner, Status } from '../../src/index.js';
import { all, soon } from '../fake.js';
import { missing, Service, stubUrl } from '../service.js';

/** Longest wait for what takes the service a restart. */
const RESTART_MS = 30_000;

describe('the calls', { skip: missing }, () => {
  let service: Service;
  let runner: Runner;
  before(async () => {
    service = await new Service(['--slots', '4']).start();
    runner = await service.runner();
  });
  after(() => service.remove());

  test('a_task_is_run_to_its_end_and_told_from_its_first_change_on', async () => {
    const task = runner.run(stubUrl('/exit/0'), { labels: { of: 'run' } });
    const job = await task.result();
    assert.deepEqual([Status[job.status], Reason[job.reason], job.done], ['DONE', 'PROCESS_EXITED', true]);
    const told = await all(task);
    assert.deepEqual(told.map(({ kind, revision }) => [kind, revision]), told.map((_, n) => [ChangeKind.CHANGE, BigInt(n + 1)]));
    assert.equal(told[0]?.job.status, Status.CREATED);
    assert.equal(told.at(-1)?.final, true);
    assert.equal((await runner.run(stubUrl('/exit/3')).result()).exitCode, 3, 'a task that failed is no error of the call');
  });

  test('an_error_of_execute_is_told_by_whichever_way_the_task_is_looked_at', async () => {
    const task = runner.run('ftp://example.org/');
    const refused = { code: 'INVALID_ARGUMENT', violations: (found: unknown[]) => found.length === 1 };
    for (const look of [task.made, task.taskId(), task.result(), all(task), task.cancel()]) {
      await assert.rejects(look, (error: Record<string, unknown>) => error.code === refused.code && refused.violations(error.violations as unknown[]));
    }
  });

  test('the_same_request_id_is_the_same_task', async () => {
    const requestId = crypto.randomUUID();
    const [one, other] = await Promise.all([runner.execute(stubUrl('/exit/0'), { requestId }), runner.execute(stubUrl('/exit/0'), { requestId })]);
    assert.equal(one.taskId, other.taskId);
    await assert.rejects(runner.execute(stubUrl('/exit/1'), { requestId }), { code: 'ALREADY_EXISTS', reason: 'REQUEST_ID_REUSED' });
  });

  test('a_report_is_heard_as_progress_and_as_the_end', async () => {
    const task = runner.run(stubUrl('/sleep'), { samples: true });
    const taskId = await task.taskId();
    let progress = 0;
    for await (const { kind, job, sample } of task) {
      if (kind === ChangeKind.CHANGE && job.status === Status.RUNNING && progress === 0) {
        await runner.report(taskId, { status: 'RUNNING', progress: 40, message: 'reading' });
      }
      if (sample?.progress !== undefined && progress === 0) {
        progress = sample.progress;
        assert.equal((await runner.report(taskId, { status: 'DONE', result: '{"pages": 3}' })).applied, true);
      }
    }
    assert.equal(progress, 40);
    const { job, request } = await runner.status(taskId);
    assert.deepEqual(resultOf(job!), { pages: 3 });
    assert.equal(request?.url, stubUrl('/sleep'));
  });

  test('a_task_is_cancelled_with_a_grace_and_its_watch_ends_with_the_process', async () => {
    const task = runner.run(stubUrl('/ignore-term'), { until: 'PROCESS_EXITED', terminationGrace: '60s' });
    await task.made;
    await task.cancel({ terminationGrace: '0.2s' });
    const job = await task.result();
    assert.deepEqual([Status[job.status], job.isProcessAlive], ['CANCELLED', false]);
  });

  test('a_crowd_that_leaves_at_once_does_not_take_the_others_along', async () => {
    const task = runner.run(stubUrl('/sleep'));
    const taskId = await task.taskId();
    const watching = task.result();
    const leave = new AbortController();
    const crowd = Array.from({ length: 300 }, () => runner.watch(taskId, { signal: leave.signal }).next());
    await crowd[0];
    leave.abort();
    await Promise.allSettled(crowd);
    await task.cancel({ force: true });
    assert.equal((await soon(watching, 'the end of the task')).status, Status.CANCELLED);
  });

  test('a_list_and_the_stream_after_it_leave_no_gap', async () => {
    const filter = { labels: { of: 'list' } };
    const options = { labels: { of: 'list' } };
    const first = await runner.execute(stubUrl('/exit/0'), options);
    const { value: page } = await runner.listJobs({ filter, pageSize: 1 }).pages().next();
    assert.deepEqual(page?.jobs.map(({ taskId }) => taskId), [first.taskId]);
    const second = await runner.execute(stubUrl('/exit/0'), options);
    const revisions: bigint[] = [];
    const stream = runner.watchJobs({ filter, resumeToken: page?.resumeToken });
    for await (const { kind, job } of stream) {
      assert.notEqual(kind, JobsKind.SNAPSHOT);
      if (job?.taskId !== second.taskId) continue;
      revisions.push(job.revision);
      if (job.done) break;
    }
    assert.deepEqual(revisions.slice(0, 2), [1n, 2n]);
    assert.deepEqual((await all(runner.listJobs({ filter, pageSize: 1, order: 'OLDEST_FIRST' }))).map(({ taskId }) => taskId), [first.taskId, second.taskId]);
  });

  test('a_log_is_followed_to_the_end_of_its_task', async () => {
    const { taskId } = await runner.execute(stubUrl('/stderr?text=hello'));
    const texts = (await all(runner.readLog(taskId, { follow: true, sources: ['OUTPUT'] }))).flatMap(({ entries }) => entries.map(({ text }) => text));
    assert.ok(texts.some((text) => text.includes('hello')), texts.join('\n'));
    await assert.rejects(all(runner.readFile(taskId, 'none')), { reason: 'FILE_NOT_FOUND' });
    await assert.rejects(runner.screenshot(taskId), { reason: 'CAPTURE_UNAVAILABLE' });
    await assert.rejects(runner.windows({ taskId }), { reason: 'WINDOWS_UNSUPPORTED' });
  });

  test('profiles_are_listed_and_removed', async () => {
    for (const name of ['logins', 'other']) mkdirSync(`${service.stateDir}/profiles/stub/${name}`, { recursive: true });
    assert.deepEqual((await all(runner.profiles({ pageSize: 1 }))).map(({ name, browser }) => [name, browser]), [['logins', 'stub'], ['other', 'stub']]);
    const removed = await runner.removeProfile('logins', { browser: 'stub' });
    assert.equal(removed.name, 'logins');
    await assert.rejects(runner.removeProfile('logins'), { code: 'NOT_FOUND', reason: 'PROFILE_NOT_FOUND' });
  });

  test('a_service_is_found_by_its_address_and_a_wrong_token_is_refused_at_once', async () => {
    const named = await service.runner({ server: service.address, tokenFile: `${service.stateDir}/token` });
    assert.equal((await named.getRunner()).limits?.slots, 4);
    await assert.rejects(Runner.connect({ server: service.address, token: 'wrong' }), { code: 'UNAUTHENTICATED', reason: 'TOKEN_INVALID' });
    await assert.rejects(Runner.connect({ server: 'http://127.0.0.1:1', token: 'x' }), { code: 'UNAVAILABLE', message: /127\.0\.0\.1:1/ });
  });
});

describe('a restart', { skip: missing }, () => {
  let service: Service;
  beforeEach(async () => { service = await new Service().start(); });
  afterEach(() => service.remove());

  test('a_service_that_leaves_well_is_waited_for_by_watches_and_calls', async () => {
    const runner = await service.runner();
    const task = runner.run(stubUrl('/sleep'));
    const { taskId } = await task.made;
    const statuses: string[] = [];
    const watching = (async () => { for await (const { job } of task) statuses.push(Status[job.status]); })();
    await service.stop('SIGTERM');
    const cancel = task.cancel();
    await service.start();
    await soon(Promise.all([watching, cancel]), 'the end of the task', RESTART_MS);
    assert.deepEqual(statuses, ['CREATED', 'RUNNING', 'STOPPING', 'CANCELLED']);
    assert.equal((await runner.status(taskId)).job?.done, true);
  });

  test('a_call_finds_it_where_it_is_now', async () => {
    const runner = await service.runner();
    const before = service.address;
    await service.stop('SIGKILL');
    const answer = runner.getRunner();
    await service.start();
    await soon(answer, 'the answer', RESTART_MS);
    assert.notEqual(service.address, before);
  });

  test('what_a_killed_service_left_is_not_shown_the_token', async () => {
    await service.stop('SIGKILL');
    await assert.rejects(Runner.connect({ stateDir: service.stateDir }), { code: 'UNAVAILABLE', message: /no service runs on/ });
  });

  test('a_service_that_is_not_there_yet_is_waited_for_when_asked', async () => {
    await service.stop('SIGKILL');
    const connecting = Runner.connect({ stateDir: service.stateDir, retryForMs: RESTART_MS });
    await service.start();
    (await connecting).close();
  });

  test('a_log_that_is_followed_goes_on_over_it', async () => {
    const runner = await service.runner();
    const { taskId } = await runner.execute(stubUrl('/sleep'));
    const reading = all(runner.readLog(taskId, { follow: true }));
    await service.stop('SIGKILL');
    await service.start();
    await runner.cancel(taskId);
    await soon(reading, 'the end of the log', RESTART_MS);
  });
});

const noOpenssl = spawnSync('openssl', ['version']).error ? 'openssl is not installed, which makes the certificates' : false;
if (noOpenssl !== false && process.env.CI === 'true') throw new Error(noOpenssl);

describe('over TLS', { skip: missing || noOpenssl }, () => {
  let dir: string;
  let service: Service;
  before(async () => {
    dir = mkdtempSync('/tmp/cnode-');
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
    const key = (name: string) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
    for (const name of ['issuer', 'stranger']) openssl('req', '-x509', ...key(name), '-days', '1', '-out', `${name}.pem`, '-subj', `/CN=${name}`);
    for (const name of ['own', 'other']) {
      openssl('req', '-new', ...key(name), '-out', `${name}.csr`, '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost');
      openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'issuer.pem', '-CAkey', 'issuer.key', '-CAcreateserial', '-days', '1', '-copy_extensions', 'copy', '-out', `${name}.pem`);
    }
    service = await new Service(['--tls-cert', `${dir}/own.pem`, '--tls-key', `${dir}/own.key`, '--host', 'localhost']).start();
  });
  after(async () => {
    await service?.remove();
    rmSync(dir, { recursive: true });
  });

  test('a_state_directory_knows_its_service_by_its_certificate_whatever_its_name', async () => {
    const runner = await service.runner();
    assert.equal((await runner.run(stubUrl('/exit/0')).result()).status, Status.DONE);
    assert.match(service.address, /^https:\/\/127\.0\.0\.1:/);
  });

  test('any_other_needs_a_certificate_for_its_name_from_a_known_issuer', async () => {
    const server = service.address.replace('127.0.0.1', 'localhost');
    const { token } = service;
    for (const known of ['own', 'issuer']) await service.runner({ server, token, ca: `${dir}/${known}.pem` });
    await assert.rejects(Runner.connect({ server, token, ca: `${dir}/stranger.pem` }), { message: /certificate/ });
    await assert.rejects(Runner.connect({ server, token }), { message: /certificate/ });
    await assert.rejects(Runner.connect({ server: service.address, token, ca: `${dir}/own.pem` }), { message: /altnames|IP/i });
  });

  test('nobody_with_another_certificate_hears_a_word', async () => {
    let heard = 0;
    const imposter = createServer({ key: readFileSync(`${dir}/other.key`), cert: readFileSync(`${dir}/other.pem`), ALPNProtocols: ['h2'] }, (socket) => {
      socket.on('data', (bytes) => { heard += bytes.length; });
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => imposter.listen(0, '127.0.0.1', resolve));
    const endpoint = `${service.stateDir}/endpoint`;
    const before = readFileSync(endpoint, 'utf8');
    writeFileSync(endpoint, `https://127.0.0.1:${(imposter.address() as AddressInfo).port}\n`);
    try {
      await assert.rejects(Runner.connect({ stateDir: service.stateDir }), { message: /certificate|is not the service/ });
    } finally {
      writeFileSync(endpoint, before);
      await new Promise((resolve) => imposter.close(resolve));
    }
    assert.equal(heard, 0);
  });
});
