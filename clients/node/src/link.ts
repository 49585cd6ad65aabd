// The connections to the service: found, shared, spread, and found again where it is after a restart.

import { X509Certificate } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';

import { type CallOptions as ConnectCallOptions, type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';

import { TaskRunnerError } from './error.js';
import { TaskRunner } from './gen/comet/taskrunner/v1/task_runner_pb.js';
import { find, isTls, type Place, type Reach, type Trust } from './reach.js';

/** How often a silent connection is asked whether it is alive, and how long it may take: a cut cable is noticed within half
 * a minute, before a person wonders. */
const PING_EVERY_MS = 20_000;
const PING_WITHIN_MS = 10_000;
/** Calls on one connection, streams that stay open included. The service lets 256 of them go on at once, and one more would
 * wait without a word; the next one goes over another connection. */
export const CALLS_PER_CONNECTION = 200;

export type Calls = Client<typeof TaskRunner>;
export type CallOptions = ConnectCallOptions;

/** One connection, which opens itself when it is used, and again after it was cut. */
export class Connection {
  readonly calls: Calls;
  readonly #sessions: Http2SessionManager;
  /** Calls that are under way. */
  busy = 0;
  /** Not for new calls any more. */
  retired = false;

  constructor(place: Place) {
    const pings = { pingIntervalMs: PING_EVERY_MS, pingTimeoutMs: PING_WITHIN_MS };
    const sessions = new Sessions(place.server, pings, sessionOptions(place));
    this.#sessions = sessions;
    this.calls = createClient(TaskRunner, createGrpcTransport({
      baseUrl: place.server,
      sessionManager: sessions,
      interceptors: [bearer(place.token)],
    }));
  }

  close(): void {
    this.retired = true;
    this.#sessions.abort();
  }
}

/** The library stops listening to a session that it gave up, and the session's last error would then end the program. */
class Sessions extends Http2SessionManager {
  override async request(...args: Parameters<Http2SessionManager['request']>): ReturnType<Http2SessionManager['request']> {
    const stream = await super.request(...args);
    if (stream.session?.listeners('error').includes(ignore) === false) stream.session.on('error', ignore);
    return stream;
  }
}

// Whoever called hears it from the stream.
function ignore(): void {}

/** All connections of one caller. */
export class Link {
  /** Where the service is. Unset: it is to be looked for. */
  #place: Place | undefined;
  /** Where it was found last. */
  #found: Place | undefined;
  #connections: Connection[] = [];
  readonly #closing = new AbortController();

  constructor(private readonly reach: Reach) {}

  /** Falls when the caller has no more use for any of this. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  /** Where the service was found last. */
  get server(): string {
    return this.#found?.server ?? '';
  }

  /** A connection for one more call. It is to be given back. */
  async take(): Promise<Connection> {
    const place = this.#place ??= this.#use(await find(this.reach));
    this.closed.throwIfAborted();
    let connection = this.#connections.find(({ busy }) => busy < CALLS_PER_CONNECTION);
    if (!connection) this.#connections.push(connection = new Connection(place));
    connection.busy += 1;
    return connection;
  }

  /** The call is over. */
  release(connection: Connection): void {
    connection.busy -= 1;
    if (connection.retired && connection.busy === 0) connection.close();
  }

  /** A call failed, so the service may be elsewhere by now. */
  doubt(): void {
    this.#place = undefined;
  }

  /** A connection that is silent may be dead without knowing: no further call goes over it. */
  retire(connection: Connection): void {
    this.#connections = this.#connections.filter((other) => other !== connection);
    connection.retired = true;
    if (connection.busy === 0) connection.close();
  }

  close(): void {
    this.#closing.abort(new TaskRunnerError('CANCELLED', 'this runner is closed'));
    for (const connection of this.#connections) connection.close();
    this.#connections = [];
  }

  #use(place: Place): Place {
    const moved = this.#found !== undefined && !isSame(this.#found, place);
    this.#found = place;
    // What still goes on at the old place comes to its end there.
    if (moved) for (const connection of this.#connections) this.retire(connection);
    return place;
  }
}

function isSame(one: Place, other: Place): boolean {
  return one.server === other.server && one.token === other.token && bytesOf(one.trust) === bytesOf(other.trust);
}

function bytesOf(trust: Trust): string {
  switch (trust.kind) {
    case 'system':
      return '';
    case 'issuers':
      return trust.pem;
    case 'certificate':
      return trust.der.toString('latin1');
  }
}

function bearer(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`);
    return next(request);
  };
}

type SessionOptions = NonNullable<ConstructorParameters<typeof Http2SessionManager>[2]> & Pick<ConnectionOptions, 'allowPartialTrustChain'>;

function sessionOptions({ server, trust }: Place): SessionOptions {
  if (!isTls(server)) return {};
  switch (trust.kind) {
    case 'system':
      return {};
    case 'issuers':
      return { ca: trust.pem, allowPartialTrustChain: true };
    case 'certificate':
      return {
        ca: new X509Certificate(trust.der).toString(),
        allowPartialTrustChain: true,
        // Its names may be any; what that certificate issued is another one.
        checkServerIdentity: (_, { raw }) => (
          raw.equals(trust.der) ? undefined : new Error(`what listens at ${server} is not the service of the state directory`)
        ),
      };
  }
}
