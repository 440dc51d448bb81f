// The API, as typed calls. Every failure leaves here as one ApiError that says what kind it is.

import type {
  Act,
  AlertActed,
  Allowed,
  AlertPage,
  ApprovedMany,
  Config,
  Decided,
  DriftPage,
  Mode,
  NotificationPage,
  Policies,
  Reconciled,
  Resolved,
  RunDetail,
  RunPage,
  RunScope,
  TellBody,
  Told,
} from "./types.ts";

/** A page of an export: so many rows at most. */
const EXPORT_ROWS = 1000;

/** Beyond this a read counts as unreachable: the API's own deadline is well below it. */
const READ_TIMEOUT_MS = 20_000;
/** A reconcile run answers when it has ended: its budget is 270 s, the platform's limit 300 s. */
const RECONCILE_TIMEOUT_MS = 310_000;
/** Everything that is approved is read afresh at Stripe first. */
const APPROVE_TIMEOUT_MS = 120_000;
/** A test or a retry answers when the receiver has, which may be slow. */
const TELL_TIMEOUT_MS = 40_000;

/** `status` 0 and code `unreachable`: no answer came, or something other than the API answered. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfter: number | null = null,
    readonly requestId: string | null = null,
    readonly body: Record<string, unknown> | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** No answer, or one from something between the page and the API. */
  get unreachable(): boolean {
    return this.status === 0;
  }
}

/** Where the access token comes from; `refresh` is asked once when the API calls a token invalid. */
export interface TokenSource {
  token(): Promise<string | null>;
  refresh(): Promise<string | null>;
}

let tokens: TokenSource | null = null;

/** Sets whose session the calls use. */
export function useTokens(source: TokenSource | null): void {
  tokens = source;
}

type Query = Record<string, string | number | null | undefined>;

interface Call {
  method?: "GET" | "POST" | "PUT";
  query?: Query;
  body?: unknown;
  signal?: AbortSignal | undefined;
  timeout?: number;
  anonymous?: boolean;
}

/** `a=1&b=2` of what has a value, in the order given. */
export function queryString(query: Query): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

async function send(path: string, call: Call, token: string | null): Promise<Response> {
  const timeout = AbortSignal.timeout(call.timeout ?? READ_TIMEOUT_MS);
  const signal = call.signal ? AbortSignal.any([call.signal, timeout]) : timeout;
  const headers: Record<string, string> = { accept: "application/json" };
  if (token !== null) headers["authorization"] = `Bearer ${token}`;
  if (call.body !== undefined) headers["content-type"] = "application/json";
  try {
    return await fetch(path + queryString(call.query ?? {}), {
      method: call.method ?? "GET",
      headers,
      body: call.body === undefined ? null : JSON.stringify(call.body),
      signal,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (cause) {
    if (call.signal?.aborted) throw cause;
    throw new ApiError(
      0,
      "unreachable",
      timeout.aborted ? "The server did not answer in time." : "The server can't be reached.",
    );
  }
}

async function parse<T>(response: Response): Promise<T> {
  const text = await response.text().catch(() => "");
  let body: Record<string, unknown> | null = null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      body = value as Record<string, unknown>;
    }
  } catch {
    // Not JSON: something else answered in the API's place. Told apart below.
  }
  if (response.ok && body !== null) return body as T;
  if (body === null || typeof body["error"] !== "string") {
    throw new ApiError(0, "unreachable", `The answer did not come from the API (HTTP ${response.status}).`);
  }
  throw new ApiError(
    response.status,
    typeof body["code"] === "string" ? body["code"] : "internal",
    body["error"],
    typeof body["retry_after"] === "number" ? body["retry_after"] : null,
    typeof body["request_id"] === "string" ? body["request_id"] : null,
    body,
  );
}

async function request<T>(path: string, call: Call = {}): Promise<T> {
  return parse<T>(await respond(path, call));
}

/** The answer to a call in the session's name, whatever it says. */
async function respond(path: string, call: Call): Promise<Response> {
  if (call.anonymous) return send(path, call, null);
  const token = (await tokens?.token()) ?? null;
  let response = await send(path, call, token);
  if (response.status === 401 && tokens !== null) {
    // The clock of this computer may be off, so that auth-js thinks a dead token alive.
    const fresh = await tokens.refresh();
    if (fresh !== null && fresh !== token) response = await send(path, call, fresh);
  }
  return response;
}

/** A page of an export. What answers in the API's place, such as a page to sign in to a network, is of another type. */
async function exported(response: Response): Promise<ExportPage> {
  if (!response.ok) return parse<ExportPage>(response);
  const type = response.headers.get("content-type") ?? "";
  if (!/^(text\/csv|application\/x-ndjson)\b/.test(type)) {
    throw new ApiError(0, "unreachable", `The answer did not come from the API (${type}).`);
  }
  const total = response.headers.get("x-total-count");
  const text = await response.text().catch(() => {
    throw new ApiError(0, "unreachable", "The answer broke off.");
  });
  return { text, next: response.headers.get("x-next-cursor"), total: total === null ? null : Number(total) };
}

export interface ExportQuery {
  what: string;
  format: string;
  from?: string | null;
  to?: string | null;
  cursor?: string | null;
}

/** A page of rows as text; `total` comes with the first one. */
export interface ExportPage {
  text: string;
  next: string | null;
  total: number | null;
}

export interface AlertQuery {
  status?: string | null;
  severity?: string | null;
  type?: string | null;
  state?: string | null;
  limit?: number;
  cursor?: string | null;
}

export interface NotificationQuery {
  channel?: string | null;
  status?: string | null;
  alert_id?: string | null;
  limit?: number;
  cursor?: string | null;
}

export interface RunQuery {
  status?: string | null;
  type?: string | null;
  scope?: RunScope | null;
  limit?: number;
  cursor?: string | null;
}

export interface DriftQuery {
  state?: string | null;
  type?: string | null;
  severity?: string | null;
  owner?: string | null;
  action?: string | null;
  limit?: number;
  cursor?: string | null;
}

/** A decision about one entry. */
function decide(id: string, action: string, body?: unknown): Promise<Decided> {
  return request<Decided>(`/api/admin/drift/${encodeURIComponent(id)}/${action}`, { method: "POST", body, timeout: APPROVE_TIMEOUT_MS });
}

export const api = {
  config: () => request<Config>("/api/config", { anonymous: true }),

  alerts: (query: AlertQuery, signal?: AbortSignal) =>
    request<AlertPage>("/api/admin/billing-alerts", { query: { ...query }, signal }),

  resolve: (id: string, note: string) =>
    request<Resolved>(`/api/admin/billing-alerts/${encodeURIComponent(id)}/resolve`, {
      method: "POST",
      body: note === "" ? {} : { note },
    }),

  act: (id: string, { action, ...body }: Act) =>
    request<AlertActed>(`/api/admin/billing-alerts/${encodeURIComponent(id)}/${action}`, { method: "POST", body }),

  notifications: (query: NotificationQuery, signal?: AbortSignal) =>
    request<NotificationPage>("/api/admin/notifications", { query: { ...query }, signal }),

  tell: (body: TellBody) => request<Told>("/api/admin/notifications", { method: "POST", body, timeout: TELL_TIMEOUT_MS }),

  runs: (query: RunQuery, signal?: AbortSignal) =>
    request<RunPage>("/api/admin/reconciliation-logs", { query: { ...query }, signal }),

  run: (id: string, query: { show?: string | null; type?: string | null; limit?: number; cursor?: string | null }, signal?: AbortSignal) =>
    request<RunDetail>(`/api/admin/reconciliation-logs/${encodeURIComponent(id)}`, {
      query: { ...query },
      signal,
    }),

  drift: (query: DriftQuery, signal?: AbortSignal) => request<DriftPage>("/api/admin/drift", { query: { ...query }, signal }),

  approve: (id: string) => decide(id, "approve"),

  /** At most 50 at once. */
  approveMany: (ids: string[]) =>
    request<ApprovedMany>("/api/admin/drift/approve", { method: "POST", body: { ids }, timeout: APPROVE_TIMEOUT_MS }),

  allowHeld: (type: string, count: number) =>
    request<Allowed>("/api/admin/drift/approve", { method: "POST", body: { type, action: "held", count } }),

  revert: (id: string, note: string) => decide(id, "revert", { note }),

  except: (id: string, days: number, reason: string) => decide(id, "except", { days, reason }),

  unexcept: (id: string) => decide(id, "unexcept"),

  exportPage: async (query: ExportQuery, signal?: AbortSignal): Promise<ExportPage> =>
    exported(await respond("/api/admin/export", { query: { ...query, limit: EXPORT_ROWS }, signal })),

  policies: (signal?: AbortSignal) => request<Policies>("/api/admin/policies", { signal }),

  setPolicy: (type: string, mode: Mode, version: number) =>
    request<Policies>("/api/admin/policies", { method: "PUT", body: { type, mode, if_version: version } }),

  reconcile: () =>
    request<Reconciled>("/api/admin/billing-alerts/reconcile", {
      method: "POST",
      timeout: RECONCILE_TIMEOUT_MS,
    }),
};
