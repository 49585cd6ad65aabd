// Whether a service runs on a state directory: a killed one leaves its files, and no lock.

import { readdir, readFile, stat } from 'node:fs/promises';

/** Whether some process holds the lock. Only looks: to try to take it would be in the way of a service that starts. */
export async function isHeld(file: string): Promise<boolean> {
  const lock = await statOf(file);
  if (!lock) return false;
  for (const { pid, device, inode } of parseLocks(await readFile('/proc/locks', 'utf8'))) {
    if (inode !== String(lock.ino)) continue;
    // Some file systems (btrfs, overlayfs) have another number for their device here than there.
    if (device === deviceName(lock.dev) || await hasOpen(pid, lock)) return true;
  }
  return false;
}

interface Held {
  pid: string;
  device: string;
  inode: string;
}

/** The locks of whole files that are held for writing. */
export function parseLocks(text: string): Held[] {
  const held = /^\d+: FLOCK +\w+ +WRITE (\d+) ([0-9a-f]+:[0-9a-f]+):(\d+) /gm;
  return [...text.matchAll(held)].map(([, pid = '', device = '', inode = '']) => ({ pid, device, inode }));
}

/** As the kernel writes it: both halves in hexadecimal, of at least two digits. */
export function deviceName(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return [major, minor].map((half) => half.toString(16).padStart(2, '0')).join(':');
}

async function hasOpen(pid: string, lock: { dev: bigint; ino: bigint }): Promise<boolean> {
  const directory = `/proc/${pid}/fd`;
  // Another user's process, or one that has just left.
  const descriptors = await readdir(directory).catch(() => []);
  const files = await Promise.all(descriptors.map((descriptor) => statOf(`${directory}/${descriptor}`)));
  return files.some((file) => file?.ino === lock.ino && file.dev === lock.dev);
}

async function statOf(file: string): Promise<{ dev: bigint; ino: bigint } | undefined> {
  try {
    return await stat(file, { bigint: true });
  } catch {
    // Nobody has made it, or it is gone again.
    return undefined;
  }
}
