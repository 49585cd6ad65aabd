/**
 * Tells how the task goes that opened this page.
 *
 * Through `window.cometTask` where the browser gives it; else over HTTP, where the page was opened with a token behind
 * its address; else, as when a person opened the page by hand, nothing is told and nothing goes wrong.
 *
 * @param service Where reports go over HTTP. By default `http://127.0.0.1:50051`.
 */
export function cometTask(service?: string): CometTask;

/**
 * How a page speaks of its task. Each call is true once somebody asked to cancel the task, as far as is known: only
 * reports over HTTP are answered.
 */
export interface CometTask {
  /** A sign of life, 0 to 100, with words for a person. One that is lost over HTTP is lost: another one follows. */
  progress(percent: number, message?: string): Promise<boolean>;
  /**
   * It is DONE, with any JSON of up to 64 KiB. Over HTTP it is tried for half a minute, and rejects with an `Error`
   * when the report is refused or nobody takes it; so await it before you close or leave the page.
   */
  done(result?: unknown): Promise<boolean>;
  /** It FAILED, with words for a person. As `done` otherwise. */
  fail(message?: string): Promise<boolean>;
}
