// Processor and memory of a job's process tree, drawn as they are read.

import 'uplot/dist/uPlot.min.css';

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type uPlot from 'uplot';

import { clock } from '../text.ts';
import { Panel } from './panel.tsx';
import { columns, peak, type Reading } from './readings.ts';
import type { TaskView } from './view.ts';

/** In CSS pixels: a glance, not a report. */
const HEIGHT = 84;
/** The least that the time axis spans, so that the first readings are not stretched over the whole of it. */
const SPAN_MIN_SECONDS = 60;

interface Measured {
  name: string;
  unit: string;
  of: (reading: Reading) => number | undefined;
  /** The scale reaches at least this far, so that noise does not look like work. */
  least: number;
}

const CPU: Measured = { name: 'Processor', unit: '%', of: ({ cpuPercent }) => cpuPercent, least: 10 };
const MEMORY: Measured = { name: 'Memory', unit: 'MiB', of: ({ memoryMb }) => memoryMb, least: 50 };

export function Charts({ view }: { view: TaskView }) {
  const readings = view.readings.value;
  const job = view.job.value;
  const last = readings.at(-1);
  // One reading is no line, and of a job that is over there is nothing more to come.
  const isDrawn = readings.length > 1;
  if (!job || (!isDrawn && !job.isProcessAlive)) return null;
  const isShared = view.sample.value?.processInfo?.shared === true;
  const processes = last ? `${last.processCount} ${last.processCount === 1 ? 'process' : 'processes'}` : '';
  return (
    <Panel name="charts" title="Processor and memory" beside={<span class="quiet">{processes}</span>}>
      {isDrawn ? [CPU, MEMORY].map((measured) => <Chart key={measured.name} measured={measured} readings={readings} />)
        : <p class="quiet">Its first readings come within three seconds.</p>}
      {isShared && <p class="quiet">Of a browser that other tasks share: these are the figures of all of them together.</p>}
    </Panel>
  );
}

function Chart({ measured, readings }: { measured: Measured; readings: readonly Reading[] }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(readings);
  const pointed = useSignal<number | undefined>(undefined);
  const problem = useSignal('');
  latest.current = readings;
  useEffect(() => { plot.current?.setData(columns(readings, measured.of)); }, [readings]);

  useEffect(() => {
    let leave = () => {};
    let left = false;
    draw(measured, box.current as HTMLElement, (at) => { pointed.value = at; })
      .then(({ drawn, end }) => {
        if (left) return end();
        leave = end;
        plot.current = drawn;
        // The library came later than some of them.
        drawn.setData(columns(latest.current, measured.of));
      })
      .catch(() => { problem.value = 'It could not be drawn: load the page again.'; });
    return () => {
      left = true;
      leave();
      plot.current = undefined;
    };
  }, [measured]);

  const shown = pointed.value === undefined ? undefined : at(readings, measured, pointed.value);
  const now = readings.at(-1);
  const value = shown ? shown.value : now && measured.of(now);
  return (
    <figure class="chart">
      <figcaption>
        <span>{measured.name}</span>{' '}
        <strong>{value === undefined ? 'not measured yet' : `${Math.round(value)} ${measured.unit}`}</strong>{' '}
        <span class="quiet">{shown ? `at ${clock(shown.seconds * 1000)}` : `at most ${most(readings, measured)}`}</span>
      </figcaption>
      <div ref={box} role="img" aria-label={inWords(readings, measured)} />
      {problem.value !== '' && <p class="problem">{problem.value}</p>}
    </figure>
  );
}

/** The same for whoever does not see it. */
function inWords(readings: readonly Reading[], measured: Measured): string {
  const first = readings[0];
  const last = readings.at(-1);
  if (!first || !last) return `${measured.name}: no readings`;
  const value = measured.of(last);
  const is = value === undefined ? 'not measured yet' : `${Math.round(value)} ${measured.unit}`;
  return `${measured.name} since ${clock(first.at)}: now ${is}, at most ${most(readings, measured)}`;
}

function most(readings: readonly Reading[], measured: Measured): string {
  const value = peak(readings, measured.of);
  return value === undefined ? 'not measured' : `${Math.round(value)} ${measured.unit}`;
}

function at(readings: readonly Reading[], measured: Measured, index: number): { seconds: number; value: number } | undefined {
  const [times, values] = columns(readings, measured.of);
  const seconds = times[index];
  const value = values[index];
  return seconds === undefined || value === undefined || value === null ? undefined : { seconds, value };
}

/** Draws into `box`, as wide as it is, in the colours that hold. The library comes only when there is something to draw. */
async function draw(measured: Measured, box: HTMLElement, point: (index: number | undefined) => void) {
  const { default: Plot } = await import('uplot');
  // As the style sheet has them now.
  const colour = (of: 'color' | 'borderTopColor' | 'outlineColor' | 'textDecorationColor') => () => getComputedStyle(box)[of];
  const font = '11px system-ui, sans-serif';
  const axis = { font, stroke: colour('textDecorationColor'), ticks: { show: false }, grid: { stroke: colour('borderTopColor'), width: 1 } };
  const drawn = new Plot({
    width: Math.max(120, box.clientWidth),
    height: HEIGHT,
    padding: [6, 6, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { range: (_, min, max) => [Math.min(min, max - SPAN_MIN_SECONDS), max] },
      y: { range: (_, __, max) => [0, Math.max(measured.least, (max ?? 0) * 1.15)] },
    },
    series: [{}, { stroke: colour('color'), width: 1.5, points: { show: false }, fill: colour('outlineColor') }],
    axes: [
      { ...axis, grid: { show: false }, size: 20, gap: 2, space: 90, values: (_, splits) => splits.map((seconds) => clock(seconds * 1000)) },
      { ...axis, size: 40, gap: 4, space: 26 },
    ],
    hooks: { setCursor: [(plot) => point(plot.cursor.idx ?? undefined)] },
  }, [[], []], box);
  const sized = new ResizeObserver(() => { if (box.clientWidth > 0) drawn.setSize({ width: box.clientWidth, height: HEIGHT }); });
  sized.observe(box);
  // Colours change with the system's choice, or by a switch on the page.
  const repaint = () => drawn.redraw(false);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', repaint);
  const themed = new MutationObserver(repaint);
  themed.observe(document.documentElement, { attributes: true });
  const end = () => {
    sized.disconnect();
    themed.disconnect();
    dark.removeEventListener('change', repaint);
    drawn.destroy();
  };
  return { drawn, end };
}
