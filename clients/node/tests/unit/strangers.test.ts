import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { describe, test } from 'node:test';

import { Runner } from '../../src/index.js';

describe('whoever else listens', () => {
  const cases: [string, Server, RegExp, string][] = [
    ['an_older_web_server', createHttpServer((_, response) => response.end('hello')), /^no service answers at http:/, 'UNAVAILABLE'],
    ['another_program_that_speaks_http_2', createHttp2Server((_, response) => {
      response.statusCode = 404;
      response.end();
    }) as unknown as Server, /^what listens at .* answered: HTTP 404$/, 'UNIMPLEMENTED'],
    ['somebody_who_hangs_up', createServer((socket) => socket.destroy()), /^no service answers at http:/, 'UNAVAILABLE'],
  ];
  for (const [name, server, message, code] of cases) {
    test(`${name}_is_said_and_ends_no_program`, async () => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        await assert.rejects(Runner.connect({ server: address, token: 'x' }), { name: 'TaskRunnerError', code, message });
        // A session's last error comes a moment after the call's.
        await new Promise((resolve) => setImmediate(resolve));
      } finally {
        server.close();
      }
    });
  }
});
