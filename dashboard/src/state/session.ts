// Who is using the page: configuration, sign-in, the access token, and what the API said about them.

import { computed, signal } from "@preact/signals";
import type { Auth, Session } from "../api/auth-client.ts";
import { api, ApiError, useTokens } from "../api/client.ts";
import type { Config } from "../api/types.ts";

const STORAGE_KEY = "billing-ops-session";

export type SessionState =
  | { kind: "starting" }
  /** The page can't work: no configuration, or no server. Trying again may help. */
  | { kind: "broken"; error: ApiError }
  | { kind: "signed_out"; notice: string | null }
  | { kind: "signed_in"; email: string }
  /** Signed in, but not an admin. */
  | { kind: "forbidden"; email: string };

/** A browser that has never signed in is shown the form at once, before anything is loaded. */
export const session = signal<SessionState>({ kind: "starting" });

/** The host people sign in with, once it is known. */
export const authHost = signal<string | null>(null);

/** Whose session it is, to tell "you" from others. */
export const userId = signal<string | null>(null);

export const email = computed(() => ("email" in session.value ? session.value.email : ""));

let starting: Promise<Auth> | null = null;

async function load(): Promise<Auth> {
  const [config, { createAuth }] = await Promise.all([api.config(), import("../api/auth-client.ts")]);
  authHost.value = hostOf(config);
  const auth = createAuth(config, STORAGE_KEY);
  useTokens({
    token: async () => tokenOf(await auth.getSession()),
    refresh: async () => tokenOf(await auth.refreshSession()),
  });
  auth.onAuthStateChange((_event, current) => adopt(current));
  return auth;
}

/** A sign-in server that can't be reached ends nobody's session: that is an outage, not a refusal. */
function tokenOf(answer: { data: { session: Session | null }; error: { name: string } | null }): string | null {
  if (answer.data.session === null && answer.error?.name === "AuthRetryableFetchError") {
    throw new ApiError(0, "unreachable", "The sign-in server can't be reached.");
  }
  return answer.data.session?.access_token ?? null;
}

function hostOf(config: Config): string {
  try {
    return new URL(config.supabase_url).host;
  } catch {
    return config.supabase_url;
  }
}

function client(): Promise<Auth> {
  starting ??= load().catch((error: unknown) => {
    starting = null;
    throw error;
  });
  return starting;
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  // A chunk that did not arrive rejects the import with a TypeError.
  return new ApiError(0, "unreachable", "Part of the page could not be loaded.");
}

/** Who the token belongs to decides the view; a refreshed token of the same person changes nothing. */
function adopt(current: Session | null): void {
  const state = session.value;
  userId.value = current?.user.id ?? null;
  if (current === null) {
    if (state.kind === "signed_in" || state.kind === "forbidden") {
      session.value = { kind: "signed_out", notice: null };
    }
    return;
  }
  const mail = current.user.email ?? "an account without an email address";
  if ("email" in state && state.email === mail) return;
  session.value = { kind: "signed_in", email: mail };
}

/** A link from a mail that is used up or too old comes back with the reason in the address. */
function linkProblem(): string | null {
  const query = new URLSearchParams(location.search);
  const hash = new URLSearchParams(location.hash.slice(1));
  return query.get("error_description") ?? hash.get("error_description");
}

function forgetLinkParameters(): void {
  const url = new URL(location.href);
  for (const name of ["code", "error", "error_code", "error_description"]) url.searchParams.delete(name);
  history.replaceState(null, "", url.pathname + url.search);
}

/** Finds out who is signed in. Called once at the start, and again by "Try again" after a start that failed. */
export async function startSession(): Promise<void> {
  const problem = linkProblem();
  const fromLink = problem !== null || new URLSearchParams(location.search).has("code");
  const known = localStorage.getItem(STORAGE_KEY) !== null;
  session.value = known || fromLink ? { kind: "starting" } : { kind: "signed_out", notice: null };
  try {
    const auth = await client();
    const answer = await auth.getSession();
    if (tokenOf(answer) !== null) adopt(answer.data.session);
    else if (email.value === "") {
      const failed = "That sign-in link did not work. Request a new one and open it in this browser.";
      session.value = { kind: "signed_out", notice: problem ?? (fromLink ? failed : null) };
    }
    if (fromLink) forgetLinkParameters();
  } catch (error) {
    session.value = { kind: "broken", error: asApiError(error) };
  }
}

let formUsed = false;

/** Whether the person came in through the form, and not by a session kept from before. */
export function cameByForm(): boolean {
  return formUsed;
}

/** Signs in; gives a sentence where that fails, null where it worked. */
export async function signIn(mail: string, password: string): Promise<string | null> {
  try {
    formUsed = true;
    const { error } = await (await client()).signInWithPassword({ email: mail, password });
    return error === null ? null : explain(error);
  } catch (error) {
    return asApiError(error).message;
  }
}

/** Mails a sign-in link to someone who already has an account; a sentence where that fails. */
export async function sendLink(mail: string): Promise<string | null> {
  try {
    const { error } = await (await client()).signInWithOtp({
      email: mail,
      options: { emailRedirectTo: `${location.origin}/`, shouldCreateUser: false },
    });
    // Whether an address has an account is nobody's business: the answer is the same.
    return error === null || error.code === "otp_disabled" || error.code === "user_not_found" ? null : explain(error);
  } catch (error) {
    return asApiError(error).message;
  }
}

function explain(error: { message: string; status?: number | undefined; code?: string | undefined }): string {
  if (error.code === "invalid_credentials") return "Wrong email or password.";
  if (error.status === 429) return "Too many attempts. Wait a minute, then try again.";
  if (error.status === undefined || error.status === 0) return "The sign-in server can't be reached.";
  return error.message;
}

/** Ends the session here; the server is told if it can be reached. */
export async function signOut(): Promise<void> {
  const auth = await client().catch(() => null);
  await auth?.signOut({ scope: "local" }).catch(() => null);
  localStorage.removeItem(STORAGE_KEY);
  session.value = { kind: "signed_out", notice: null };
}

/** Takes note of an answer that says the session is over, or that its owner is not an admin. */
export function noteRefusal(error: ApiError): void {
  if (error.status === 401 && session.value.kind === "signed_in") {
    session.value = { kind: "signed_out", notice: "Your session has ended. Sign in again to continue." };
    void client().then((auth) => auth.signOut({ scope: "local" })).catch(() => null);
  } else if (error.status === 403 && session.value.kind === "signed_in") {
    session.value = { kind: "forbidden", email: session.value.email };
  }
}

/** Asks again, for someone who has just been made an admin. */
export function retryAsAdmin(): void {
  if (session.value.kind === "forbidden") session.value = { kind: "signed_in", email: session.value.email };
}
