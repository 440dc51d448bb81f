// The geometry of the chart of runs: pure, so that it can be tested without a browser.
//
// From top to bottom: a lane with each run's status (and a dash where a scheduled run is missing), bars of drift found
// with the repaired part solid, and bars of duration hanging from a line of their own.

import type { CountedRun, Run } from "../api/types.ts";
import { utcClock, day } from "./format.ts";
import { slots } from "./schedule.ts";

export const HEIGHT = 172;
export const STATUS_Y = 10;
export const DRIFT = { top: 26, bottom: 98 };
export const DURATION = { top: 106, bottom: 146 };
export const AXIS_Y = 162;
/** Room for the axis labels. */
export const LEFT = 52;
const RIGHT = 8;
/** What is there but too small to see is drawn this high. */
const VISIBLE = 3;
/** A scheduled run may begin this late before it counts as missing. */
const LATE_MS = 15 * 60_000;

export interface Column {
  run: CountedRun;
  /** Middle of the column. */
  x: number;
  found: number;
  repaired: number;
  repairedHeight: number;
  openHeight: number;
  durationHeight: number;
}

export interface Model {
  width: number;
  barWidth: number;
  columns: Column[];
  /** Middles of the scheduled times at which nothing ran. */
  gaps: { x: number; at: number }[];
  ticks: { x: number; label: string; midnight: boolean }[];
  maxFound: number;
  maxDuration: number;
}

/** What a run or a pass found and what of it was repaired or created. */
export function drift(run: Run): { found: number; repaired: number } {
  const repaired = run.created_count + run.updated_count;
  return { found: Math.max(run.total_issues, repaired), repaired };
}

/** A round number at or above `value`, for the end of an axis. */
export function niceMax(value: number): number {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value)!;
}

/** A duration in few letters: "860 ms", "41 s", "4.5 min". */
export function axisDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 100_000) return `${Number((ms / 1000).toPrecision(2))} s`;
  return `${(ms / 60_000).toFixed(1)} min`;
}

function scaled(value: number, max: number, height: number): number {
  return value === 0 ? 0 : Math.max(VISIBLE, Math.round((value / max) * height * 10) / 10);
}

/** Lays out the runs that started in `[from, to]`; `runs` newest first, columns come oldest first. */
export function layout(runs: CountedRun[], schedule: string | null, from: number, to: number, width: number): Model {
  const plot = Math.max(1, width - LEFT - RIGHT);
  const x = (time: number) => Math.round((LEFT + ((time - from) / (to - from)) * plot) * 10) / 10;
  const shown = runs.filter((run) => Date.parse(run.started_at) >= from && Date.parse(run.started_at) <= to).reverse();
  const hours = (to - from) / 3_600_000;
  const barWidth = Math.min(14, Math.max(3, Math.round((plot / hours) * 0.6)));
  const maxFound = niceMax(Math.max(0, ...shown.map((run) => drift(run).found)));
  const maxDuration = Math.max(1, ...shown.map((run) => run.duration_ms ?? 0));

  const columns = shown.map((run) => {
    const { found, repaired } = drift(run);
    const whole = DRIFT.bottom - DRIFT.top;
    return {
      run,
      x: x(Date.parse(run.started_at)),
      found,
      repaired,
      repairedHeight: scaled(repaired, maxFound, whole),
      openHeight: scaled(found - repaired, maxFound, whole),
      durationHeight: scaled(run.duration_ms ?? 0, maxDuration, DURATION.bottom - DURATION.top),
    };
  });

  return { width, barWidth, columns, gaps: gaps(runs, schedule, from, to).map((at) => ({ at, x: x(at) })), ticks: ticks(from, to, plot, x), maxFound, maxDuration };
}

/** Scheduled times with no run until the next one, from the oldest known run on. */
export function gaps(runs: CountedRun[], schedule: string | null, from: number, to: number): number[] {
  const starts = runs.map((run) => Date.parse(run.started_at)).sort((a, b) => a - b);
  const oldest = starts[0];
  if (oldest === undefined) return [];
  const due = slots(schedule, Math.max(from, oldest), to - LATE_MS);
  return due.filter((time, index) => {
    const end = due[index + 1] ?? to;
    return !starts.some((start) => start >= time && start < end);
  });
}

function ticks(from: number, to: number, plot: number, x: (time: number) => number): Model["ticks"] {
  const every = (plot > 640 ? 6 : plot > 420 ? 12 : 24) * 3_600_000;
  const found: Model["ticks"] = [];
  for (let time = Math.ceil(from / every) * every; time <= to; time += every) {
    const midnight = time % 86_400_000 === 0;
    found.push({ x: x(time), label: midnight ? day(time) : utcClock(time, time).slice(0, 5), midnight });
  }
  return found;
}

/** The index of the column nearest to `x`, or -1 if there are none. */
export function nearest(columns: Column[], x: number): number {
  let best = -1;
  columns.forEach((column, index) => {
    if (best === -1 || Math.abs(column.x - x) < Math.abs(columns[best]!.x - x)) best = index;
  });
  return best;
}
