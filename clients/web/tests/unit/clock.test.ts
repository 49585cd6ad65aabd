import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { signal } from '@preact/signals';

import { keepTime, now } from '../../src/clock.ts';

test('time_moves_with_each_second_while_something_counts_and_else_with_each_minute', () => {
  const start = 600_000_000_000;
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: start + 300 });
  const ticking = signal(false);
  keepTime(ticking);
  const passed = (ms: number) => {
    mock.timers.tick(ms);
    return now.value - start;
  };
  assert.deepEqual([passed(0), passed(59_000), passed(700), passed(59_999), passed(1)], [300, 300, 60_000, 60_000, 120_000]);
  ticking.value = true;
  assert.deepEqual([passed(999), passed(1), passed(1000)], [120_000, 121_000, 122_000]);
  mock.timers.tick(500);
  ticking.value = false;
  assert.deepEqual([passed(0), passed(30_000), passed(27_500)], [122_500, 122_500, 180_000]);
  mock.timers.reset();
});
