// Supabase Auth, the only module that imports its library: it becomes a chunk of its own that loads after first paint.

import { AuthClient, type Session } from "@supabase/auth-js";
import type { Config } from "./types.ts";

export type { Session };

/** A client that keeps the session in this browser and refreshes it; magic links come back with a PKCE code. */
export function createAuth(config: Config, storageKey: string): Auth {
  return new AuthClient({
    url: `${config.supabase_url.replace(/\/+$/, "")}/auth/v1`,
    headers: { apikey: config.supabase_publishable_key },
    storageKey,
    autoRefreshToken: true,
    persistSession: true,
    detectSessionInUrl: true,
    flowType: "pkce",
  });
}

export type Auth = InstanceType<typeof AuthClient>;
