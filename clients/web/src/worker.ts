// The shared worker: one stream for all tabs, since a browser allows six connections to a host over HTTP/1.1.

import { Hub } from './hub.ts';

const hub = new Hub(location.origin);

// The page's compiler settings know no worker's globals.
(globalThis as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
  const port = event.ports[0];
  if (port) hub.attach(port);
};
