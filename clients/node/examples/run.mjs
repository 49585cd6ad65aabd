// Opens a URL as a task, shows each change, and cancels the task at the first Ctrl-C.
//
//     node examples/run.mjs https://example.org/

import { ChangeKind, Reason, resultOf, Runner, Status, TaskRunnerError } from 'comet-task-runner';

const [url] = process.argv.slice(2);
if (url === undefined) {
  console.error('usage: node examples/run.mjs URL');
  process.exit(2);
}

try {
  const runner = await Runner.connect();
  const task = runner.run(url, { samples: true, labels: { opened: 'by an example' } });
  console.log(`task ${await task.taskId()}`);
  process.once('SIGINT', () => void task.cancel());

  let job;
  for await (const change of task) {
    job = change.job;
    if (change.kind === ChangeKind.CHANGE) console.log(`${Status[job.status].padEnd(10)} ${Reason[job.reason].padEnd(18)} ${job.message}`);
    else if (change.sample?.progress !== undefined) console.log(`${change.sample.progress} % ${change.sample.progressMessage}`);
  }
  console.log('result', resultOf(job));
  process.exitCode = job.status === Status.DONE ? 0 : 1;
} catch (error) {
  if (!(error instanceof TaskRunnerError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 3;
}
