// Starts the stack before the first test, and stops it after the last. One channel is set up: a Slack of our own.

import { startReceiver } from "./receiver.ts";
import { startStack } from "./stack.ts";

export default async function setup(): Promise<() => Promise<void>> {
  const receiver = await startReceiver();
  process.env["RECEIVER"] = receiver.url;
  const { description, stop } = await startStack({ NOTIFY_SLACK_URL: `${receiver.url}/services/T0/B0/hook` });
  process.env["STACK"] = JSON.stringify(description);
  return async () => {
    await stop();
    await receiver.stop();
  };
}
