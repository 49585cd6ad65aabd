// Which page the address asks for: "#/" is the list, "#/tasks/<task_id>" one task. What stands behind "?" is the list's.

import { type ReadonlySignal, signal } from '@preact/signals';

export type Route = { page: 'list' } | { page: 'task'; taskId: string };

/** What stands before a task's id. */
const TASKS = '#/tasks/';

const shown = signal<Route>({ page: 'list' });
const asked = signal('');

/** Where the tab is. */
export const route: ReadonlySignal<Route> = shown;
/** What the list's address asks of it, such as "status=FAILED". Kept while a task is shown, for the way back. */
export const listQuery: ReadonlySignal<string> = asked;

/** The address of a task's page. */
export function hrefOf(taskId: string): string {
  return `${TASKS}${encodeURIComponent(taskId)}`;
}

/** The address of the list, as it was left. */
export function hrefOfList(query = asked.value): string {
  return query === '' ? '#/' : `#/?${query}`;
}

/** Goes to an address of this page. */
export function go(href: string): void {
  location.hash = href;
}

/** Changes what is asked of the list: the same page, so no step for the way back. */
export function askList(query: string): void {
  asked.value = query;
  if (shown.peek().page === 'list') history.replaceState(history.state, '', hrefOfList(query));
}

/** What the part of an address from its "#" on asks for. Anything else than a task is the list. */
export function routeOf(hash: string): { route: Route; query: string } {
  const [path = '', ...rest] = hash.split('?');
  if (path.startsWith(TASKS)) {
    const taskId = decoded(path.slice(TASKS.length));
    if (taskId !== '') return { route: { page: 'task', taskId }, query: '' };
  }
  return { route: { page: 'list' }, query: path === '#/' ? rest.join('?') : '' };
}

/** Follows the address from now on. */
export function followAddress(): void {
  const read = () => {
    const { route: next, query } = routeOf(location.hash);
    const before = shown.peek();
    if (next.page === 'list') asked.value = query;
    if (next.page === before.page && (next.page === 'list' || next.taskId === (before as { taskId: string }).taskId)) return;
    shown.value = next;
  };
  addEventListener('hashchange', read);
  read();
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
