// Which rows of a long list are drawn: those in sight, and some on both sides.

export interface Sight {
  /** From the list's first row down to the upper edge of what is seen; negative above it. In pixels, as the rest. */
  top: number;
  height: number;
  rowHeight: number;
  rowCount: number;
}

/** Rows drawn beyond each edge: enough that one more Tab, or a turn of the wheel, meets a row and not a gap. */
export const BEYOND = 8;

/** The rows from `from` up to, and without, `to`. */
export function drawn({ top, height, rowHeight, rowCount }: Sight): { from: number; to: number } {
  if (rowHeight <= 0) return { from: 0, to: Math.min(rowCount, 2 * BEYOND) };
  const first = Math.floor(top / rowHeight) - BEYOND;
  const last = Math.ceil((top + height) / rowHeight) + BEYOND;
  const to = Math.min(rowCount, Math.max(0, last));
  return { from: Math.max(0, Math.min(first, to)), to };
}
