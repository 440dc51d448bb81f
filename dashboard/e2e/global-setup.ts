// Starts the stack before the first test, and stops it after the last.

import { startStack } from "./stack.ts";

export default async function setup(): Promise<() => Promise<void>> {
  const { description, stop } = await startStack();
  process.env["STACK"] = JSON.stringify(description);
  return stop;
}
