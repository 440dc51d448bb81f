// Tests in a real browser (Debian's Chromium, or the one that CHROMIUM names) against the real stack.

import { defineConfig } from "@playwright/test";

/** Without these, Chromium looks up its maker's hosts at every start. */
const QUIET = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export default defineConfig({
  testDir: "e2e",
  outputDir: "test-results/traces",
  globalSetup: "./e2e/global-setup.ts",
  // Each worker has a stack of its own. The tests of a file come one after the other, as they share its database.
  workers: 2,
  fullyParallel: false,
  forbidOnly: true,
  retries: 0,
  // Bounds for a machine that builds something else meanwhile, not what the tests take.
  timeout: 240_000,
  expect: { timeout: 30_000 },
  reporter: [["list"]],
  use: {
    viewport: { width: 1280, height: 860 },
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      // Chromium's sandbox refuses to run as root.
      args: process.getuid?.() === 0 ? [...QUIET, "--no-sandbox"] : QUIET,
    },
  },
});
