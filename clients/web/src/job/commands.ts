// The lines that fetch in a terminal what this page shows. The token is in none of them: they read it from its file.

export interface Command { what: string; line: string }

const SERVICE = 'comet.taskrunner.v1.TaskRunner';
/** Prints the token that lies in its file. */
const TOKEN = '-H "authorization: Bearer $(comet-task-runner token)"';
/** What ids of tasks are made of; anything else is not put into a line that somebody runs. */
const ID = /^[0-9a-f-]{36}$/i;

/** By the program, by grpcurl and by curl, for the service at `origin`. */
export function commandsFor(taskId: string, origin: string): Command[] {
  if (!ID.test(taskId)) return [];
  const { host, protocol } = new URL(origin);
  // grpcurl needs a port.
  const address = /:\d+$/.test(host) ? host : `${host}:${protocol === 'https:' ? 443 : 80}`;
  const plain = protocol === 'https:' ? '' : '-plaintext ';
  const grpcurl = (call: string, more = '') => `grpcurl ${plain}${TOKEN} -d '{"task_id": "${taskId}"${more}}' ${address} ${SERVICE}/${call}`;
  const curl = (call: string, more = '') => `curl -sSN ${TOKEN} --json '{"taskId": "${taskId}"${more}}' ${protocol}//${host}/${SERVICE}/${call}`;
  return [
    { what: 'How it stands', line: `comet-task-runner status ${taskId}` },
    { what: 'Follow it to its end', line: `comet-task-runner watch ${taskId}` },
    { what: 'Follow its log', line: `comet-task-runner log ${taskId} --follow` },
    { what: 'How it stands, by grpcurl', line: grpcurl('GetStatus') },
    { what: 'Every change from the first on, by grpcurl', line: grpcurl('WatchJob', ', "from_start": true') },
    { what: 'Its log, by grpcurl', line: grpcurl('ReadLog') },
    { what: 'How it stands, by curl', line: curl('GetStatus') },
    { what: 'Every change from the first on, by curl', line: curl('WatchJob', ', "fromStart": true') },
  ];
}
