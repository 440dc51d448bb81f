// Where the page is. One static file serves every view, so the view and its filters live in the query:
// `/?view=runs&status=error`, `/?view=run&id=…`.

import { signal } from "@preact/signals";

export type View = "overview" | "alerts" | "runs" | "run" | "drift" | "policies" | "notifications";
const VIEWS: readonly string[] = ["overview", "alerts", "runs", "run", "drift", "policies", "notifications"];

export interface Route {
  view: View;
  /** Everything else of the query, in alphabetical order when written. */
  params: Readonly<Record<string, string>>;
}

/** Reads a query string; what isn't known is the overview. */
export function parse(search: string): Route {
  const params: Record<string, string> = {};
  let view: View = "overview";
  for (const [name, value] of new URLSearchParams(search)) {
    if (name === "view") view = VIEWS.includes(value) ? (value as View) : "overview";
    else if (value !== "") params[name] = value;
  }
  return view === "run" && params["id"] === undefined ? { view: "runs", params: {} } : { view, params };
}

/** The address of a view; empty parameters are left out. */
export function href(view: View, params: Record<string, string | null | undefined> = {}): string {
  const query = new URLSearchParams();
  if (view !== "overview") query.set("view", view);
  for (const [name, value] of Object.entries(params).sort(([a], [b]) => a.localeCompare(b))) {
    if (value) query.set(name, value);
  }
  const text = query.toString();
  return text === "" ? "/" : `/?${text}`;
}

/** The view that is shown. */
export const route = signal<Route>({ view: "overview", params: {} });

/** Counts navigations to another view, so that the shell can move the focus, and a list to what the address names. */
export const arrivals = signal(0);

function show(search: string): void {
  const before = route.value;
  const next = parse(search);
  route.value = next;
  if (before.view !== next.view || before.params["id"] !== next.params["id"]) arrivals.value += 1;
}

/** Goes to an address of this page. */
export function navigate(to: string): void {
  if (to === location.pathname + location.search) return;
  history.pushState(null, "", to);
  show(location.search);
}

/** Changes parameters of the view that is shown, without a new entry in the history. */
export function setParams(changes: Record<string, string | null>): void {
  const { view, params } = route.value;
  history.replaceState(null, "", href(view, { ...params, ...changes }));
  show(location.search);
}

/** Follows links within the page without loading it again. */
export function startRouter(): void {
  show(location.search);
  window.addEventListener("popstate", () => show(location.search));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!(link instanceof HTMLAnchorElement) || link.target !== "" || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.pathname !== "/") return;
    if (url.hash !== "" && url.search === location.search) return;
    event.preventDefault();
    navigate(url.pathname + url.search);
  });
}
