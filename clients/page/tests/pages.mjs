// Serves the files of this client, and pages of the tests' own, on a loopback port.

import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { extname } from 'node:path';

import { ROOT } from './service.mjs';

const TYPES = { '.js': 'text/javascript', '.html': 'text/html; charset=utf-8' };

export class Pages {
  #pages;
  #server = createServer((request, response) => this.#answer(request, response));
  url = '';

  /** Pages by their path: `{ '/a.html': { body, headers } }`. */
  constructor(pages) {
    this.#pages = pages;
  }

  async start() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, 'http://pages');
    const page = this.#pages[pathname];
    try {
      const body = page?.body ?? await readFile(`${ROOT}clients/page${/^\/[a-z.-]+$/.exec(pathname)?.[0]}`);
      response.writeHead(200, { 'content-type': TYPES[extname(pathname)], ...page?.headers }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  }
}
