// What a newcomer tries first: the README and the example, as they stand.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';

import { soon } from '../fake.js';
import { missing, PACKAGE, Service, stubUrl } from '../service.js';

/** Longest wait for a program that shows a task from its beginning to its end. */
const PROGRAM_MS = 20_000;

describe('what is shown', { skip: missing }, () => {
  let service: Service;
  before(async () => { service = await new Service().start(); });
  after(() => service.remove());

  /** Runs Node.js in the package, where its own name leads to what is built. */
  async function run(args: string[], interruptAt?: string): Promise<{ code: number; said: string; complained: string }> {
    const child = spawn(process.execPath, args, { cwd: PACKAGE, env: { ...process.env, COMET_TASK_RUNNER_STATE_DIR: service.stateDir } });
    if (interruptAt !== undefined) {
      let heard = '';
      child.stdout.on('data', (bytes) => {
        const before = heard.includes(interruptAt);
        heard += String(bytes);
        if (!before && heard.includes(interruptAt)) child.kill('SIGINT');
      });
    }
    const exit = once(child, 'exit');
    const [said, complained, [code]] = await soon(Promise.all([text(child.stdout), text(child.stderr), exit]), 'the end of the program', PROGRAM_MS);
    return { code: code as number, said, complained };
  }

  test('the_readme_works_and_ends_by_itself', async () => {
    const blocks = [...readFileSync(`${PACKAGE}README.md`, 'utf8').matchAll(/```js\n(.*?)```/gs)].map(([, code = '']) => code);
    assert.equal(blocks.length, 1);
    const code = (blocks[0] ?? '').replace('https://example.org/', stubUrl('/exit/0'));
    const { code: exit, said, complained } = await run(['--input-type=module', '--eval', code]);
    assert.equal(exit, 0, complained);
    assert.match(said, /^CREATED.*\nRUNNING.*\nDONE .*\n.* ended as DONE\n$/);
  });

  test('the_example_shows_a_task_to_its_end', async () => {
    const { code, said, complained } = await run(['examples/run.mjs', stubUrl('/exit/0')]);
    assert.equal(code, 0, complained);
    assert.match(said, /^task .*\nCREATED .*\nRUNNING .*\nDONE +PROCESS_EXITED/);
  });

  test('an_interrupted_example_cancels_its_task', async () => {
    const { code, said } = await run(['examples/run.mjs', stubUrl('/sleep')], 'RUNNING');
    assert.equal(code, 1);
    assert.match(said, /STOPPING +CANCEL_REQUESTED.*\nCANCELLED +CANCEL_REQUESTED/);
  });

  test('the_example_says_what_is_at_fault', async () => {
    const { code, complained } = await run(['examples/run.mjs', 'ftp://example.org/']);
    assert.equal(code, 3);
    assert.match(complained, /^INVALID_ARGUMENT: .*\n {2}url: /);
  });
});
