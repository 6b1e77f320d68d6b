/** How pages follow the state of the election: while they are seen, hidden, refused, and without a server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { StateStream, whileSeen } from "../src/api/state_stream.ts";

/** Lets all that is ready run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A server in memory: its streams stay open, and are written to. */
class Server {
  readonly asked: string[] = [];
  readonly streams: { say(text: string): void; isOpen: boolean }[] = [];
  refuses: { status: number; retryAfter: string } | null = null;

  readonly fetch = (url: string, { signal }: RequestInit = {}): Promise<Response> => {
    this.asked.push(url);
    if (this.refuses !== null) {
      const { status, retryAfter } = this.refuses;
      return Promise.resolve(new Response("{}", { status, headers: { "retry-after": retryAfter } }));
    }
    if (url.endsWith("/state")) return Promise.resolve(new Response('{"at":0}'));
    return Promise.resolve(new Response(this.stream(signal!)));
  };

  private stream(signal: AbortSignal): ReadableStream {
    return new ReadableStream({
      start: (controller) => {
        const stream = {
          isOpen: true,
          say: (text: string) => controller.enqueue(new TextEncoder().encode(text)),
        };
        this.streams.push(stream);
        signal.addEventListener("abort", () => {
          stream.isOpen = false;
          controller.error(new Error("aborted"));
        });
      },
    });
  }
}

test("a hidden page has no stream open and asks nothing, and has one again when it is seen", async () => {
  const page = Object.assign(new EventTarget(), { hidden: true });
  const server = new Server();
  Object.assign(globalThis, {
    ...{ document: page, fetch: server.fetch },
    addEventListener: page.addEventListener.bind(page),
  });
  const heard: string[] = [];
  const turn = async (hidden: boolean) => {
    page.hidden = hidden;
    page.dispatchEvent(new Event("visibilitychange"));
    await settle();
  };
  const open = () => server.streams.map(({ isOpen }) => isOpen);
  whileSeen(() => {
    const stream = new StateStream("/api", { heard: (text) => heard.push(text), silent: () => undefined });
    return () => stream.end();
  });
  await settle(); // in a tab behind another one
  assert.deepEqual(server.asked, []);
  await turn(false);
  server.streams[0]!.say("event: state\nid: 1.a\nda");
  server.streams[0]!.say('ta: {"at":1}\n\n: alive\n');
  await settle();
  assert.deepEqual([open(), heard], [[true], ['{"at":1}']]);
  await turn(true);
  assert.deepEqual([open(), server.asked], [[false], ["/api/events"]]);
  await turn(false);
  assert.deepEqual(open(), [false, true]);
  page.dispatchEvent(new Event("pagehide"));
  await settle();
  assert.deepEqual(
    [open(), server.asked],
    [
      [false, false],
      ["/api/events", "/api/events"],
    ],
  );
});

test("a server that is away is asked less and less, and one that says when is not asked before", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const server = new Server();
  Object.assign(globalThis, { fetch: server.fetch });
  const silences: (number | null)[] = [];
  const stream = new StateStream("/api", {
    heard: () => undefined,
    silent: (since) => silences.push(since === null ? null : since.getTime()),
  });
  /** When the state was asked for within so many seconds, counted from now. */
  const pollsWithin = async (seconds: number): Promise<number[]> => {
    const times: number[] = [];
    for (let second = 0; second < seconds; second++) {
      const before = server.asked.filter((url) => url.endsWith("/state")).length;
      await settle();
      context.mock.timers.tick(1000);
      await settle();
      if (server.asked.filter((url) => url.endsWith("/state")).length > before) times.push(second);
    }
    return times;
  };
  server.refuses = { status: 503, retryAfter: "" };
  // The stream that is open says nothing more: after ten seconds the page says so, ends it and asks.
  const times = await pollsWithin(120);
  assert.deepEqual(silences, [null, 0]);
  const gaps = times.slice(1).map((time, at) => time - times[at]!);
  assert.deepEqual(gaps.slice(0, 6), [5, 5, 5, 8, 15, 30]);
  server.refuses = { status: 429, retryAfter: "100" };
  await pollsWithin(30);
  assert.deepEqual(await pollsWithin(60), []);
  server.refuses = null;
  await pollsWithin(60);
  assert.equal(silences.at(-1), null);
  stream.end();
  const { length } = server.asked;
  await pollsWithin(60);
  assert.equal(server.asked.length, length);
});
