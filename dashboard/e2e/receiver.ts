// Plays Slack: takes the messages that the stack sends, and answers what a test wants it to.

import { createServer, type IncomingMessage } from "node:http";
import { ofThisWorker } from "./stack.ts";

export interface Message {
  path: string;
  body: string;
}

interface Answer {
  status: number;
  body: string;
}

/** What Slack says to a message that it takes. */
const TAKEN: Answer = { status: 200, body: "ok" };

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

/** Starts it on a free port; tests run in other processes, so they reach it by HTTP, too. */
export async function startReceiver(): Promise<{ url: string; stop: () => Promise<void> }> {
  let answer = TAKEN;
  let messages: Message[] = [];
  const server = createServer((request, response) => {
    void read(request).then((body) => {
      if (request.url !== "/_control") {
        messages.push({ path: request.url ?? "", body });
        response.writeHead(answer.status, { "content-type": "text/plain" }).end(answer.body);
        return;
      }
      if (request.method === "PUT") {
        answer = JSON.parse(body) as Answer;
        messages = [];
      }
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(messages));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the receiver has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))),
  };
}

async function control(method: "GET" | "PUT", body?: Answer): Promise<Message[]> {
  const answer = await fetch(`${ofThisWorker("RECEIVER")}/_control`, { method, body: body === undefined ? null : JSON.stringify(body) });
  return (await answer.json()) as Message[];
}

/** What it says from now on; forgets what it was sent. */
export async function slackAnswers(answer: Answer = TAKEN): Promise<void> {
  await control("PUT", answer);
}

/** What it was sent since. */
export function slackMessages(): Promise<Message[]> {
  return control("GET");
}
