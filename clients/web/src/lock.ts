// Lets one side of a port know when the other is gone, crashed or closed, which ports do not tell: each side holds a
// lock for as long as it lives, and the other asks for it.

import { uuid } from './id.ts';

const NEVER = new Promise<void>(() => {});

/** Holds a new lock for as long as this context lives, and gives its name once it is held: told any sooner, the other
 * side could get the lock first and take this one for dead. */
export function holdLock(purpose: string): Promise<string> {
  const name = `comet-task-runner.${purpose}.${uuid()}`;
  const available = locks();
  if (!available) return Promise.resolve(name);
  return new Promise((resolve, reject) => {
    available.request(name, () => {
      resolve(name);
      return NEVER;
    }).catch(reject);
  });
}

/** Resolves when the holder of a lock is gone. Never, where there are no locks. */
export async function lockReleased(name: string): Promise<void> {
  const available = locks();
  if (!available) return NEVER;
  await available.request(name, () => undefined);
}

function locks(): LockManager | undefined {
  // Absent outside of secure contexts, such as plain HTTP on another host than this.
  return (globalThis.navigator as Partial<Navigator> | undefined)?.locks;
}
