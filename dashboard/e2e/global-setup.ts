// Starts a stack for each worker before the first test, and stops them after the last. One channel is set up: a Slack of our own.

import type { FullConfig } from "@playwright/test";
import { startReceiver } from "./receiver.ts";
import { startStack } from "./stack.ts";

export default async function setup(config: FullConfig): Promise<() => Promise<void>> {
  const started: { stop: () => Promise<void> }[] = [];
  const stop = async (): Promise<void> => {
    for (const one of started.reverse()) await one.stop();
  };
  try {
    for (let worker = 0; worker < config.workers; worker++) {
      const receiver = await startReceiver();
      started.push(receiver);
      const stack = await startStack({ NOTIFY_SLACK_URL: `${receiver.url}/services/T0/B0/hook` });
      started.push(stack);
      process.env[`RECEIVER_${worker}`] = receiver.url;
      process.env[`STACK_${worker}`] = JSON.stringify(stack.description);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}
