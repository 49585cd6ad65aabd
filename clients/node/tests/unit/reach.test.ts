import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { deviceName, parseLocks } from '../../src/lock.js';
import { find, reachOf } from '../../src/reach.js';

const HOME = { HOME: '/home/ada' };
const AT = 'http://127.0.0.1:7';
const OTHER = 'http://127.0.0.1:8';

describe('which service is meant', () => {
  test('without_anything_the_one_on_the_state_directory', () => {
    assert.deepEqual(reachOf({}, HOME), { kind: 'on', stateDir: '/home/ada/.local/state/comet-task-runner' });
    assert.deepEqual(reachOf({}, { ...HOME, XDG_STATE_HOME: '/x' }), { kind: 'on', stateDir: '/x/comet-task-runner' });
    assert.deepEqual(reachOf({}, { ...HOME, XDG_STATE_HOME: '', COMET_TASK_RUNNER_STATE_DIR: '/s' }), { kind: 'on', stateDir: '/s' });
    assert.throws(() => reachOf({}, {}), /no home directory/);
  });

  test('an_option_goes_before_the_environment_and_a_server_before_a_directory', () => {
    const env = { ...HOME, COMET_TASK_RUNNER_SERVER: AT, COMET_TASK_RUNNER_STATE_DIR: '/s', COMET_TASK_RUNNER_TOKEN_FILE: '/t', COMET_TASK_RUNNER_CA_FILE: '/ca' };
    assert.deepEqual(reachOf({}, env), { kind: 'at', server: AT, token: { file: '/t' }, ca: '/ca' });
    assert.deepEqual(reachOf({ server: OTHER, stateDir: '/o', tokenFile: '/u', ca: '/cb' }, env), { kind: 'at', server: OTHER, token: { file: '/u' }, ca: '/cb' });
    assert.deepEqual(reachOf({ stateDir: '/o' }, env), { kind: 'on', stateDir: '/o' });
    assert.deepEqual(reachOf({ server: AT }, { ...HOME, COMET_TASK_RUNNER_STATE_DIR: '/s' }), { kind: 'at', server: AT, token: { file: '/s/token' } });
    assert.deepEqual(reachOf({ token: ' secret\n' }, env), { kind: 'at', server: AT, token: { text: 'secret' }, ca: '/ca' });
    assert.deepEqual(reachOf({ token: 'secret' }, HOME), { kind: 'on', stateDir: '/home/ada/.local/state/comet-task-runner', token: { text: 'secret' } });
  });

  test('an_address_of_another_form_is_named', () => {
    for (const server of ['127.0.0.1:50051', 'ftp://h:1', 'http://h:1/path', 'http://', '']) {
      assert.throws(() => reachOf({ server }, HOME), (error: Error) => error instanceof TypeError && error.message.includes(JSON.stringify(server)));
    }
    assert.equal((reachOf({ server: 'https://tasks.example.org:7/' }, HOME) as { server: string }).server, 'https://tasks.example.org:7');
  });
});

describe('where it is', () => {
  let dir: string;
  beforeEach(() => { dir = mkdtempSync('/tmp/cnode-'); });
  afterEach(() => rmSync(dir, { recursive: true }));

  test('files_that_a_killed_service_left_lead_nowhere', async () => {
    await assert.rejects(find({ kind: 'on', stateDir: dir }), /no service runs on .*comet-task-runner serve/);
    for (const [name, text] of [['lock', ''], ['token', 'secret\n'], ['endpoint', `${AT}\n`]] as const) writeFileSync(join(dir, name), text);
    await assert.rejects(find({ kind: 'on', stateDir: dir }), { code: 'UNAVAILABLE', message: /no service runs on/ });
  });

  test('a_token_that_is_not_there_is_named', async () => {
    await assert.rejects(find({ kind: 'at', server: AT, token: { file: join(dir, 'token') } }), /no token at .*\/token/);
  });

  test('what_is_no_token_and_no_certificate_is_said_without_showing_it', async () => {
    writeFileSync(join(dir, 'odd'), 'se cret');
    await assert.rejects(find({ kind: 'at', server: AT, token: { file: join(dir, 'odd') } }), (error: Error) => !error.message.includes('cret') && error instanceof TypeError);
    await assert.rejects(find({ kind: 'at', server: AT, token: { text: '' } }), TypeError);
    await assert.rejects(find({ kind: 'at', server: AT, token: { text: 'x' }, ca: join(dir, 'odd') }), /odd holds no certificate/);
  });

  test('locks_are_read_as_the_kernel_writes_them', () => {
    const text = [
      '1: FLOCK  ADVISORY  WRITE 8125 fe:00:10018963 0 EOF',
      '1: -> FLOCK  ADVISORY  WRITE 9 fe:00:10018963 0 EOF',
      '2: POSIX  ADVISORY  READ 8548 fe:00:10020253 128 128',
      '3: FLOCK  ADVISORY  READ 1 fe:00:7 0 EOF',
      '44: FLOCK  ADVISORY  WRITE 4411 103:0a:5 0 EOF',
    ].join('\n');
    assert.deepEqual(parseLocks(text), [
      { pid: '8125', device: 'fe:00', inode: '10018963' },
      { pid: '4411', device: '103:0a', inode: '5' },
    ]);
    assert.equal(deviceName(65024n), 'fe:00');
    assert.equal(deviceName(0x1030an), '103:0a');
  });
});
