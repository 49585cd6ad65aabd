// Which service is meant, and where it is: as the command line finds it.

import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { TaskRunnerError } from './error.js';
import { isHeld } from './lock.js';

/** Which service. Without anything, the one that runs on the state directory of this user. */
export interface ReachOptions {
  /** Its address, such as "http://127.0.0.1:50051", instead of the one on the state directory.
   * Default: $COMET_TASK_RUNNER_SERVER. */
  server?: string | undefined;
  /** What each call shows. Default: what is in `tokenFile`. */
  token?: string | undefined;
  /** The file with the token of `server`. Default: $COMET_TASK_RUNNER_TOKEN_FILE, or `token` in the state directory. */
  tokenFile?: string | undefined;
  /** The file with the issuers of the certificate of an https `server`, in PEM. Default: $COMET_TASK_RUNNER_CA_FILE, or
   * those that Node.js trusts. */
  ca?: string | undefined;
  /** Where the service keeps what it remembers. Default: $COMET_TASK_RUNNER_STATE_DIR, or comet-task-runner in
   * $XDG_STATE_HOME or ~/.local/state. */
  stateDir?: string | undefined;
}

/** Where a service is to be found. Its files are read at each connection, since a restarted service may have moved. */
export type Reach =
  | { kind: 'at'; server: string; token: Token; ca?: string }
  | { kind: 'on'; stateDir: string; token?: { text: string } };

type Token = { text: string } | { file: string };

/** Where a service is now. */
export interface Place {
  server: string;
  token: string;
  trust: Trust;
}

/** By what a service is known that speaks TLS. */
export type Trust =
  /** By a certificate for its name, from an issuer that Node.js trusts. */
  | { kind: 'system' }
  /** By a certificate for its name: one of these, or one that one of these issued. */
  | { kind: 'issuers'; pem: string }
  /** By this certificate, whatever names are in it: who can write to its state directory could do anything anyway. */
  | { kind: 'certificate'; der: Buffer };

/** The service that is meant. An option goes before the environment, and a server before a state directory. */
export function reachOf(options: ReachOptions, env: NodeJS.ProcessEnv): Reach {
  const set = (name: string) => env[name] || undefined;
  const stateDir = options.stateDir ?? set('COMET_TASK_RUNNER_STATE_DIR') ?? defaultStateDir(set);
  const server = options.server ?? (options.stateDir === undefined ? set('COMET_TASK_RUNNER_SERVER') : undefined);
  const text = options.token?.trim();
  if (server === undefined) return { kind: 'on', stateDir: resolve(stateDir), ...(text !== undefined && { token: { text } }) };
  const file = options.tokenFile ?? set('COMET_TASK_RUNNER_TOKEN_FILE') ?? join(stateDir, 'token');
  const ca = options.ca ?? set('COMET_TASK_RUNNER_CA_FILE');
  return { kind: 'at', server: originOf(server), token: text === undefined ? { file } : { text }, ...(ca !== undefined && { ca }) };
}

/** Looks where that service is now, and what it is to be shown. */
export async function find(reach: Reach): Promise<Place> {
  if (reach.kind === 'at') {
    return { server: reach.server, token: await readToken(reach.token), trust: await trustAt(reach.ca) };
  }
  // An endpoint that a killed service left may lead to anybody by now, who must not be shown the token.
  const endpoint = await isHeld(join(reach.stateDir, 'lock')) ? await readOrNothing(join(reach.stateDir, 'endpoint')) : undefined;
  const server = endpoint?.split('\n')[0] ?? '';
  if (server === '') {
    throw new TaskRunnerError(
      'UNAVAILABLE',
      `no service runs on ${reach.stateDir}; start one with \`comet-task-runner serve\`, or name one as \`server\``,
    );
  }
  return {
    server,
    token: await readToken(reach.token ?? { file: join(reach.stateDir, 'token') }),
    trust: isTls(server) ? { kind: 'certificate', der: await readFile(join(reach.stateDir, 'certificate')) } : { kind: 'system' },
  };
}

/** Whether the address is of a service that speaks TLS. */
export function isTls(server: string): boolean {
  return server.startsWith('https://');
}

function defaultStateDir(set: (name: string) => string | undefined): string {
  const home = set('HOME');
  const base = set('XDG_STATE_HOME') ?? (home === undefined ? undefined : join(home, '.local/state'));
  if (base === undefined) throw new TypeError('there is no home directory; name a `stateDir`');
  return join(base, 'comet-task-runner');
}

function originOf(server: string): string {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url && ['http:', 'https:'].includes(url.protocol) && url.pathname === '/') return url.origin;
  throw new TypeError(`the server ${JSON.stringify(server)} is not of the form http://HOST:PORT or https://HOST:PORT`);
}

async function readToken(token: Token): Promise<string> {
  const text = 'text' in token ? token.text : (await readOrNothing(token.file))?.trim();
  if (text === undefined) {
    const { file } = token as { file: string };
    throw new TaskRunnerError('UNAVAILABLE', `there is no token at ${file}; \`comet-task-runner serve\` makes one at its first start`);
  }
  // It is not shown, not even to whoever gave it.
  if (!/^[\x21-\x7e]+$/.test(text)) throw new TypeError('the token holds characters that no token has, or is empty');
  return text;
}

async function trustAt(ca: string | undefined): Promise<Trust> {
  if (ca === undefined) return { kind: 'system' };
  const pem = await readFile(ca, 'utf8');
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new TypeError(`the file ${ca} holds no certificate in PEM`);
  return { kind: 'issuers', pem };
}

async function readOrNothing(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
