// The filters of the Drift page, as they stand in the address.

import type { DriftAction } from "../api/types.ts";
import { CLOSED_ACTIONS, OPEN_ACTIONS } from "./decisions.ts";
import { driftWords, severityWords } from "./words.ts";

/** Each empty where it lets everything through; an empty state is "open". */
export interface DriftFilters {
  state: "" | "closed" | "all";
  type: string;
  severity: string;
  action: string;
  owner: string;
}

function known(value: string | undefined, words: readonly string[]): string {
  return value !== undefined && words.includes(value) ? value : "";
}

/** The actions that entries of a state can have. */
export function actionsOf(state: DriftFilters["state"]): readonly DriftAction[] {
  return state === "" ? OPEN_ACTIONS : state === "closed" ? CLOSED_ACTIONS : [...OPEN_ACTIONS, ...CLOSED_ACTIONS];
}

/** Reads them; a word that the API would refuse counts as none. */
export function readFilters(params: Readonly<Record<string, string>>): DriftFilters {
  const state = known(params["state"], ["closed", "all"]) as DriftFilters["state"];
  return {
    state,
    type: known(params["type"], Object.keys(driftWords)),
    severity: known(params["severity"], Object.keys(severityWords)),
    action: known(params["action"], actionsOf(state)),
    owner: (params["owner"] ?? "").trim(),
  };
}

/** The parameters of another state: without an action that it doesn't know. */
export function withState(filters: DriftFilters, state: string): Record<string, string | null> {
  const next = known(state, ["closed", "all"]) as DriftFilters["state"];
  return { state: next || null, action: known(filters.action, actionsOf(next)) || null };
}

/** What the API is asked for. */
export function asQuery(filters: DriftFilters): Record<string, string> {
  return { ...filters, state: filters.state || "open" };
}

/** Whether anything but the state narrows the list. */
export function isNarrowed(filters: DriftFilters): boolean {
  return [filters.type, filters.severity, filters.action, filters.owner].some((value) => value !== "");
}
