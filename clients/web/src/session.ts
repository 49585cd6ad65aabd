// The tab's token: kept over reloads, shared with other tabs, bought with a one-time link.

const KEY = 'comet-task-runner.session';
/** A session is sold within milliseconds; longer than that, the network is at fault. */
const TIMEOUT_MS = 15_000;

export function storedToken(): string | undefined {
  return localStorage.getItem(KEY) ?? undefined;
}

export function storeToken(token: string): void {
  localStorage.setItem(KEY, token);
}

/** Forgets a token that was refused, unless another tab has replaced it meanwhile. */
export function dropToken(refused: string): void {
  if (storedToken() === refused) localStorage.removeItem(KEY);
}

/** Hears of a token that another tab got. */
export function onTokenElsewhere(heard: (token: string) => void): void {
  addEventListener('storage', (event) => {
    if (event.key === KEY && event.newValue) heard(event.newValue);
  });
}

/** What somebody pasted, or the address of this page. */
export type Pasted = { kind: 'code'; code: string } | { kind: 'token'; token: string } | { kind: 'nothing' };

/** A link with a code in it, or a token by itself. */
export function parsePasted(text: string): Pasted {
  const pasted = text.trim();
  const code = codeIn(pasted);
  if (code !== undefined) return { kind: 'code', code };
  // What may stand in a header after "Bearer".
  return /^[A-Za-z0-9._~+/-]+=*$/.test(pasted) ? { kind: 'token', token: pasted } : { kind: 'nothing' };
}

/** The code behind the "#" of a link. */
export function codeIn(link: string): string | undefined {
  const code = /#code=([^&\s]+)/.exec(link)?.[1];
  return code === undefined || code === '' ? undefined : code;
}

/** Takes the code out of the page's own address, so that it stays in no history. */
export function takeCode(): string | undefined {
  const code = codeIn(location.hash);
  if (code !== undefined) history.replaceState(history.state, '', location.pathname + location.search);
  return code;
}

/** A session, or why there is none. */
export type Bought = { token: string } | { problem: string };

/** Buys a session with a one-time code. */
export async function buySession(code: string): Promise<Bought> {
  let response: Response;
  let text: string;
  try {
    response = await fetch('/session', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code }),
      cache: 'no-store',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    // Its end may be cut off, too.
    text = await response.text();
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    return { problem: isLate ? 'The service did not answer in time.' : 'The service cannot be reached.' };
  }
  if (!response.ok) return { problem: whyRefused(text) };
  const token = tokenIn(text);
  return token === undefined ? { problem: 'The service answered without a session.' } : { token };
}

export function whyRefused(answer: string): string {
  if (answer.includes('CODE_USED')) return 'This link has been used already; a link works once.';
  if (answer.includes('CODE_EXPIRED')) return 'This link is too old; a link works for ten minutes.';
  if (answer.includes('CODE_INVALID')) return 'This link is not one of this service.';
  if (answer.includes('CODE_LIMIT')) return 'Too many links were used in the last ten minutes; wait a while.';
  return 'The service did not accept this link.';
}

function tokenIn(text: string): string | undefined {
  try {
    const { token } = JSON.parse(text) as { token?: unknown };
    return typeof token === 'string' && token !== '' ? token : undefined;
  } catch {
    return undefined;
  }
}
