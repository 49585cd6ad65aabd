// Follows tasks from their first change to their end, and prints each change: `follow.mjs TASK_ID...`.

import { Runner, Status } from '../../clients/node/dist/index.js';

const runner = await Runner.connect();
await Promise.all(process.argv.slice(2).map(async (task) => {
  for await (const { job } of runner.watch(task, { fromStart: true })) {
    console.log(JSON.stringify({ task, revision: Number(job.revision), status: Status[job.status] }));
  }
}));
runner.close();
