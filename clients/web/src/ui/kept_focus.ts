// Keeps the keyboard where it was when the button that it stood at goes, as actions do once they are done.

import type { RefObject } from 'preact';
import { useLayoutEffect } from 'preact/hooks';

/** Called while drawing: when the button with the focus is gone afterwards, the one in its place has it, else `instead`. */
export function useKeptFocus(within: RefObject<HTMLElement | null>, instead: () => HTMLElement | null | undefined): void {
  const at = buttonsOf(within.current).findIndex((button) => button === document.activeElement);
  useLayoutEffect(() => {
    if (at < 0 || document.activeElement !== document.body) return;
    const left = buttonsOf(within.current);
    (left[Math.min(at, left.length - 1)] ?? instead())?.focus({ preventScroll: true });
  });
}

function buttonsOf(element: HTMLElement | null): HTMLElement[] {
  return [...(element?.querySelectorAll('button') ?? [])];
}
