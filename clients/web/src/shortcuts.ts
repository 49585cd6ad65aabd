// Single keys that do something wherever one is on the page, but where one writes.

export interface Shortcut { keys: string; does: string }

/** What the help shows, in its order. */
export const SHORTCUTS: readonly Shortcut[] = [
  { keys: '/', does: 'Look for a task' },
  { keys: 'n', does: 'Open a new task' },
  { keys: 'j, k', does: 'Go down, up in the list' },
  { keys: 'Home, End', does: 'Go to the first, last task' },
  { keys: 'Enter', does: 'Open the page of the task' },
  { keys: 'Esc', does: 'Leave a field or a window' },
  { keys: 'u', does: 'Back to the list' },
  { keys: 'r', does: 'Show or hide the runner' },
  { keys: '?', does: 'Show these keys' },
];

export type Actions = Record<'/' | 'n' | 'j' | 'k' | 'u' | 'r' | '?', () => void>;

/** Follows the keys until the returned function is called. */
export function followKeys(actions: Actions): () => void {
  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    const target = event.target instanceof HTMLElement ? event.target : document.body;
    if (event.key === 'Escape' && isWritable(target)) return target.blur();
    if (isWritable(target) || document.querySelector('dialog[open]')) return;
    const act = Object.hasOwn(actions, event.key) ? actions[event.key as keyof Actions] : undefined;
    if (!act) return;
    event.preventDefault();
    act();
  };
  document.addEventListener('keydown', press);
  return () => document.removeEventListener('keydown', press);
}

function isWritable(element: HTMLElement): boolean {
  return element.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(element.tagName);
}
