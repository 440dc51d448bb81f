// The last 48 hours of runs as a picture. One tab stop: the arrow keys walk from run to run, Enter opens one. What is
// selected stands in words below, so nothing hides in a hover.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { CountedRun, RunStatus } from "../api/types.ts";
import { AXIS_Y, axisDuration, drift, DRIFT, DURATION, HEIGHT, layout, LEFT, nearest, STATUS_Y, type Column, type Model } from "../model/chart.ts";
import { count, duration, plural, utcClock } from "../model/format.ts";
import { schedules } from "../model/schedule.ts";
import { statusWords } from "../model/words.ts";
import { now } from "../state/clock.ts";
import { WINDOW_MS } from "../state/pulse.ts";
import { href, navigate } from "../state/router.ts";
import { StatusBadge } from "../ui/badges.tsx";

/** What there is to say of a run beside its status: "10:17 UTC", "4 found", "3 repaired", "took 812 ms". */
function parts(run: CountedRun, at: number): string[] {
  const { found, repaired } = drift(run);
  // A run that failed or is still under way has not seen everything, so it can't say that there is no drift.
  const whole = run.status === "success" || run.status === "partial";
  return [
    utcClock(Date.parse(run.started_at), at),
    ...(found > 0 ? [`${count(found)} found`, `${count(repaired)} repaired`] : whole ? [run.scope === "all" ? "no drift" : "no drift in what changed"] : []),
    ...(run.error_message === null ? [] : [run.error_message.replace(/\.$/, "")]),
    ...(run.duration_ms === null ? [] : [`took ${duration(run.duration_ms)}`]),
  ];
}

function StatusMark({ status, x, size }: { status: RunStatus; x: number; size: number }) {
  const r = size / 2;
  switch (status) {
    case "success":
      return <circle class="mark tone-ok" cx={x} cy={STATUS_Y} r={r * 0.8} fill="currentColor" />;
    case "partial":
      return (
        <g class="mark tone-warning">
          <circle cx={x} cy={STATUS_Y} r={r * 0.85} fill="none" stroke="currentColor" stroke-width="1.5" />
          <path d={`M${x} ${STATUS_Y - r * 0.85}a${r * 0.85} ${r * 0.85} 0 0 1 0 ${r * 1.7}z`} fill="currentColor" />
        </g>
      );
    case "error":
      return (
        <path
          class="mark tone-critical"
          d={`M${x - r} ${STATUS_Y - r}l${size} ${size}m0 ${-size}l${-size} ${size}`}
          stroke="currentColor"
          stroke-width="2.4"
          stroke-linecap="round"
        />
      );
    default:
      return (
        <circle class="mark tone-info" cx={x} cy={STATUS_Y} r={r * 0.85} fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2 1.6" />
      );
  }
}

function Bars({ column, width }: { column: Column; width: number }) {
  const left = column.x - width / 2;
  const repairedTop = DRIFT.bottom - column.repairedHeight;
  return (
    <>
      {column.repairedHeight > 0 && (
        <rect class="bar-repaired" x={left} y={repairedTop} width={width} height={column.repairedHeight} rx="1.5" />
      )}
      {column.openHeight > 0 && (
        <rect
          class="bar-open"
          x={left + 0.75}
          y={repairedTop - column.openHeight + 0.75}
          width={Math.max(1.5, width - 1.5)}
          height={Math.max(1.5, column.openHeight - 1.5)}
          rx="1"
        />
      )}
      {column.durationHeight > 0 && (
        <rect class="bar-duration" x={left} y={DURATION.top} width={width} height={column.durationHeight} rx="1.5" />
      )}
    </>
  );
}

function Picture({ model, selected }: { model: Model; selected: number }) {
  const { width, barWidth } = model;
  const mark = Math.min(9, Math.max(5, barWidth));
  const column = model.columns[selected];
  return (
    <svg class="chart-svg" width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} aria-hidden="true" focusable="false">
      <defs>
        <pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="hatch-ground" width="4" height="4" />
          <rect class="hatch-line" width="1.6" height="4" />
        </pattern>
      </defs>
      {model.ticks.map((tick) => (
        <g key={tick.x}>
          <line class={tick.midnight ? "grid grid-midnight" : "grid"} x1={tick.x} x2={tick.x} y1={STATUS_Y + 8} y2={DURATION.bottom + 4} />
          <text
            class="axis"
            x={tick.x}
            y={AXIS_Y}
            text-anchor={tick.x > width - 32 ? "end" : tick.x < LEFT + 24 ? "start" : "middle"}
          >
            {tick.label}
          </text>
        </g>
      ))}
      <line class="baseline" x1={LEFT} x2={width} y1={DRIFT.bottom} y2={DRIFT.bottom} />
      <line class="baseline" x1={LEFT} x2={width} y1={DURATION.top} y2={DURATION.top} />
      <line class="grid" x1={LEFT} x2={width} y1={DRIFT.top} y2={DRIFT.top} />
      <text class="axis" x={LEFT - 8} y={DRIFT.top + 4} text-anchor="end">{count(model.maxFound)}</text>
      <text class="axis" x={LEFT - 8} y={DRIFT.bottom} text-anchor="end">drift</text>
      <text class="axis" x={LEFT - 8} y={DURATION.top + 9} text-anchor="end">time</text>
      <text class="axis" x={LEFT - 8} y={DURATION.bottom + 2} text-anchor="end">{model.columns.length === 0 ? "" : axisDuration(model.maxDuration)}</text>
      {column !== undefined && (
        <rect class="chart-cursor" x={column.x - barWidth / 2 - 3} y="0" width={barWidth + 6} height={DURATION.bottom + 4} rx="3" />
      )}
      {model.gaps.map((gap) => (
        <line class="gap" key={gap.at} x1={gap.x - mark / 2} x2={gap.x + mark / 2} y1={STATUS_Y} y2={STATUS_Y} />
      ))}
      {model.columns.map((each) => (
        <g key={each.run.id}>
          <Bars column={each} width={barWidth} />
          <StatusMark status={each.run.status} x={each.x} size={mark} />
        </g>
      ))}
    </svg>
  );
}

/** How the marks read; also what tells them apart without colour. */
function Legend({ gaps }: { gaps: boolean }) {
  const sign = (status: RunStatus) => (
    <svg class="legend-sign" viewBox="0 0 20 20" aria-hidden="true">
      <StatusMark status={status} x={10} size={10} />
    </svg>
  );
  return (
    <ul class="legend">
      <li>{sign("success")} Success</li>
      <li>{sign("partial")} Partial</li>
      <li>{sign("error")} Error</li>
      {gaps && (
        <li>
          <svg class="legend-sign" viewBox="0 0 20 20" aria-hidden="true">
            <line class="gap" x1="5" x2="15" y1="10" y2="10" />
          </svg>
          No run
        </li>
      )}
      <li>
        <svg class="legend-sign" viewBox="0 0 20 20" aria-hidden="true">
          <rect class="bar-repaired" x="5" y="4" width="10" height="12" rx="1.5" />
        </svg>
        Drift repaired
      </li>
      <li>
        <svg class="legend-sign" viewBox="0 0 20 20" aria-hidden="true">
          <rect class="bar-open" x="5.75" y="4.75" width="8.5" height="10.5" rx="1" />
        </svg>
        Not repaired
      </li>
      <li>
        <svg class="legend-sign" viewBox="0 0 20 20" aria-hidden="true">
          <rect class="bar-duration" x="5" y="4" width="10" height="12" rx="1.5" />
        </svg>
        Duration
      </li>
    </ul>
  );
}

export function Chart({ runs, complete }: { runs: CountedRun[]; complete: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [selectedId, select] = useState<string | null>(null);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);

  // The picture moves once a minute; a new run moves it at once.
  const minute = Math.floor(now.value / 60_000) * 60_000 + 60_000;
  const model = useMemo(
    () => layout(runs, schedules.reconcile, minute - WINDOW_MS, minute, width),
    [runs, minute, width],
  );
  const last = model.columns.length - 1;
  const found = model.columns.findIndex((column) => column.run.id === selectedId);
  const selected = found === -1 ? last : found;
  const run = model.columns[selected]?.run;

  const move = (index: number) => select(model.columns[Math.min(last, Math.max(0, index))]?.run.id ?? null);
  const keys: Record<string, () => void> = {
    ArrowLeft: () => move(selected - 1),
    ArrowDown: () => move(selected - 1),
    ArrowRight: () => move(selected + 1),
    ArrowUp: () => move(selected + 1),
    Home: () => move(0),
    End: () => move(last),
    Enter: () => run !== undefined && navigate(href("run", { id: run.id })),
  };
  const at = (event: MouseEvent) => nearest(model.columns, event.clientX - box.current!.getBoundingClientRect().left);

  return (
    <div class="chart">
      <div
        ref={box}
        class="chart-box"
        role="slider"
        tabIndex={0}
        aria-label="Runs of the last 48 hours. Use the arrow keys to move between them and Enter to open one."
        aria-orientation="horizontal"
        aria-valuemin={0}
        aria-valuemax={Math.max(0, last)}
        aria-valuenow={Math.max(0, selected)}
        aria-valuetext={run === undefined ? "No runs" : `${statusWords[run.status]}, ${parts(run, now.value).join(", ")}`}
        onKeyDown={(event) => {
          const act = keys[event.key];
          if (act === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
          event.preventDefault();
          act();
        }}
        onPointerMove={(event) => move(at(event))}
        onClick={(event) => {
          const column = model.columns[at(event)];
          if (column !== undefined) navigate(href("run", { id: column.run.id }));
        }}
      >
        {width > 0 && <Picture model={model} selected={selected} />}
      </div>
      <div class="chart-foot">
        {run === undefined ? (
          <p class="readout quiet">No runs in the last 48 hours.</p>
        ) : (
          <p class="readout">
            <StatusBadge status={run.status} /> <span>{parts(run, now.value).join(" · ")}</span>{" "}
            <a href={href("run", { id: run.id })}>Open run</a>
          </p>
        )}
        <Legend gaps={model.gaps.length > 0} />
      </div>
      <p class="visually-hidden">
        {plural(model.columns.length, "run")} in the last 48 hours
        {model.gaps.length > 0 ? `, ${plural(model.gaps.length, "scheduled time")} without a run` : ""}.
      </p>
      {!complete && <p class="quiet">Only the newest {count(runs.length)} runs are shown.</p>}
    </div>
  );
}
