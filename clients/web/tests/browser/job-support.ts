// What several tests of a job's own page need of the browser.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import type { Page } from 'playwright-core';

import { ROOT } from './support.ts';

const AXE = readFileSync(`${process.cwd()}/node_modules/axe-core/axe.min.js`, 'utf8');

interface Violation { id: string; nodes: { html: string; failureSummary?: string }[] }

/** Nothing that axe-core finds wrong with what is below the bar at the top, in either scheme. */
export async function accessible(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(AXE);
    const violations = await page.evaluate(async () => {
      const { axe } = globalThis as unknown as { axe: { run(of: string): Promise<{ violations: Violation[] }> } };
      return (await axe.run('main')).violations;
    });
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)]), [], colorScheme);
  }
}

/** The whole page, not only what is in view. */
export async function wholeScreenshot(page: Page, name: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: `${ROOT}screenshots/job-${name}-${colorScheme}.png`, fullPage: true });
  }
}

/** Nothing makes the page wider than the window. */
export async function fits(page: Page): Promise<void> {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok((wide as number) <= (window as number), `${wide} pixels in a window of ${window}`);
}
