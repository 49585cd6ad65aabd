// A task's page tells how it goes.
let held = /^#ctr=([\w-]+\.[\w-]+)$/.exec(location.hash)?.[1];
// Before a router reads it.
if (held) history.replaceState(history.state, '', location.pathname + location.search);
let store = {};
try {
  // For a reload, or a login and back.
  if (held) sessionStorage.ctr = held;
  store = sessionStorage;
  held = store.ctr;
} catch {}

export function cometTask(service = 'http://127.0.0.1:50051') {
  const url = new URL('/callback', service);
  let last;

  async function post(report, tries) {
    const [task_id, callback_token] = held.split('.');
    const body = JSON.stringify({ task_id, callback_token, ...report });
    for (let wait = 250; ; wait *= 2) {
      const answer = await fetch(url, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body,
        // More cannot outlive its page.
        keepalive: body.length < 2e4, signal: AbortSignal.timeout(1e4),
      }).catch(() => {});
      const said = await answer?.json().catch(() => {});
      if (said && answer.ok) return said.cancelRequested;
      if (said && answer.status < 500 || !--tries) throw Error(said?.message ?? `${url} takes no report from ${location.origin}`);
      await new Promise((next) => setTimeout(next, wait));
    }
  }

  const send = async (report, tries = 8) => held && (last = Promise.allSettled([last]).then(() => post(report, tries)));
  const prose = (text) => text && `${text}`.slice(0, 1300).toWellFormed();
  const way = window.cometTask ?? {
    progress: (percent, text) =>
      send({ status: 'RUNNING', progress: Math.round(percent), message: prose(text) }, 1).catch(() => {}),
    done: (result) => send({ status: 'DONE', result: JSON.stringify(result) }),
    fail: (text) => send({ status: 'FAILED', message: prose(text) }),
  };
  const by = (name) => async (...args) => {
    const told = await way[name](...args);
    if (name !== 'progress') delete store.ctr;
    return !!told;
  };
  return { progress: by('progress'), done: by('done'), fail: by('fail') };
}
