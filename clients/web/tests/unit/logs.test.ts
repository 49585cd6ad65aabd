import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';

import { ReadLogResponseSchema } from '../../src/gen/comet/taskrunner/v1/task_runner_pb.ts';
import type { LogStanding } from '../../src/job/follow.ts';
import { FOLLOWS_MAX, Logs, type OpenLog } from '../../src/job/logs.ts';
import type { Port } from '../../src/protocol.ts';

/** What one call of ReadLog was, and how it goes on. */
interface Call { taskId: string; follow: boolean; signal: AbortSignal; end(error?: Error): void }

class World {
  readonly calls: Call[] = [];
  readonly standings = new Map<string, LogStanding>();
  readonly logs = new Logs((...call) => this.#open(...call));
  #waiting: (() => void)[] = [];

  async *#open(...[taskId, , follow, signal, answered]: Parameters<OpenLog>) {
    answered();
    yield create(ReadLogResponseSchema, {});
    await new Promise<void>((resolve, reject) => {
      this.calls.push({ taskId, follow, signal, end: (error) => (error ? reject(error) : resolve()) });
      signal.addEventListener('abort', () => reject(new ConnectError('left', Code.Canceled)));
      this.#happened();
    });
  }

  show(taskId: string): Port {
    const port = { postMessage: (message: { standing?: LogStanding }) => {
      if (message.standing) this.standings.set(taskId, message.standing);
      this.#happened();
    } } as unknown as Port;
    this.logs.show(port, taskId, true);
    return port;
  }

  #happened(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async until(holds: () => boolean): Promise<void> {
    const late = AbortSignal.timeout(5000);
    while (!holds()) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        late.addEventListener('abort', () => reject(new Error(`not so: ${holds.toString()}`)));
      });
    }
  }

  state(taskId: string): string | undefined {
    return this.standings.get(taskId)?.state;
  }
}

test('logs_stand_still_without_a_token_and_go_on_with_one', async () => {
  const world = new World();
  world.logs.wake();
  world.show('a');
  await world.until(() => world.calls.length === 1);
  world.logs.halt();
  assert.ok(world.calls[0]?.signal.aborted);
  assert.equal(world.state('a'), 'opening');
  world.logs.again('a');
  world.show('b');
  assert.equal(world.calls.length, 1);
  world.logs.wake();
  await world.until(() => world.calls.length === 3);
  assert.deepEqual(world.calls.slice(1).map(({ taskId }) => taskId), ['a', 'b']);
});

test('a_log_that_is_read_once_takes_no_place_though_it_is_cut', async () => {
  const world = new World();
  world.logs.wake();
  const ports = ['a', 'b', 'c'].map((taskId) => world.show(taskId));
  assert.equal(FOLLOWS_MAX, 2);
  await world.until(() => world.calls.length === 3);
  const read = world.calls[2];
  assert.deepEqual([read?.taskId, read?.follow], ['c', false]);
  read?.end(new ConnectError('cut', Code.Unavailable));
  await world.until(() => world.state('c') === 'reconnecting');
  world.logs.leave(ports[0] as Port);
  // There is one place, and it is given to the one that was only read.
  await world.until(() => world.calls.length === 4);
  assert.deepEqual([world.calls[3]?.taskId, world.calls[3]?.follow], ['c', true]);
  await world.until(() => world.state('c') === 'live');
});
