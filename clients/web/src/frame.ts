// Gathers what arrives between two frames, so that however much it is, it is drawn once.

/** Calls `flush` before the next frame is drawn, once however often it is asked; at once where nothing is drawn, since
 * hidden pages have no frames and yet say what ended. */
export function oncePerFrame(flush: () => void): () => void {
  let isAsked = false;
  const run = () => {
    if (!isAsked) return;
    isAsked = false;
    flush();
  };
  if (typeof document === 'undefined') return () => { isAsked = true; run(); };
  // What was asked while the page was still to be seen would wait until it is again.
  document.addEventListener('visibilitychange', run);
  return () => {
    if (isAsked) return;
    isAsked = true;
    if (document.visibilityState === 'visible') requestAnimationFrame(run);
    else run();
  };
}
