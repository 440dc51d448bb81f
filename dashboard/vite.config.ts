// Builds the page into ../public, which Vercel publishes. That folder also holds files that are not ours, so only our
// own old files are removed.

import { readFileSync, rmSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";
import { scheduleOf } from "./src/model/schedule.ts";

const OUT = new URL("../public/", import.meta.url);
const OURS = ["index.html", "assets", "icons"];

/** The two schedules of vercel.json, which is what the platform goes by. */
function schedules(): { reconcile: string | null; monitor: string | null } {
  const { crons } = JSON.parse(readFileSync(new URL("../vercel.json", import.meta.url), "utf8")) as {
    crons: { path: string; schedule: string }[];
  };
  return {
    reconcile: scheduleOf(crons, "/api/subscriptions/reconcile", ["scope", "due"]),
    monitor: scheduleOf(crons, "/api/admin/billing-alerts/monitor", ["only", "deliver"]),
  };
}

const clean: Plugin = {
  name: "remove-own-old-files",
  apply: "build",
  buildStart() {
    for (const name of OURS) rmSync(new URL(name, OUT), { recursive: true, force: true });
  },
};

export default defineConfig({
  publicDir: "static",
  plugins: [clean],
  define: { __SCHEDULES__: JSON.stringify(schedules()) },
  build: {
    outDir: "../public",
    emptyOutDir: false,
    target: "es2022",
    // Preloads go by <link>, which a strict Content-Security-Policy allows; the polyfill is for browsers long gone.
    modulePreload: { polyfill: false },
    // No data: URLs, so that the policy needs none.
    assetsInlineLimit: 0,
    manifest: false,
    sourcemap: false,
  },
  // `npm run dev` against a local stack: DEV_API is its base URL.
  server: {
    host: "127.0.0.1",
    proxy: { "/api": process.env["DEV_API"] ?? "http://127.0.0.1:3000" },
  },
});
