// Unit tests run in Node; what needs a browser is in e2e/.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
