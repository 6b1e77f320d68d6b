/**
 * Server-sent events, read with fetch. An EventSource shows neither the comments by which a server says that it
 * is there, nor the status with which it refuses one more stream.
 */
export interface ServerEvent {
  type: string;
  data: string;
}

/** Puts the pieces of a stream together to events. */
export class EventParser {
  private rest = "";
  private type = "message";
  private data: string[] = [];

  /** The events that this piece completes. */
  feed(piece: string): ServerEvent[] {
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop()!;
    return lines.flatMap((line) => this.take(line.replace(/\r$/, "")));
  }

  private take(line: string): ServerEvent[] {
    if (line === "") {
      const made = { type: this.type, data: this.data.join("\n") };
      const complete = this.data.length > 0;
      this.type = "message";
      this.data = [];
      return complete ? [made] : [];
    }
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line)!;
    if (name === "event") this.type = value!;
    if (name === "data") this.data.push(value!);
    return [];
  }
}

/** The answer to a request was no stream. */
export class NoStream extends Error {}

/**
 * The events of a stream until it ends or `signal` ends it; `heard` is called for all that comes.
 *
 * @throws NoStream where the server gives no stream.
 */
export async function* eventsOf(url: string, signal: AbortSignal, heard: () => void): AsyncGenerator<ServerEvent> {
  const response = await fetch(url, { signal, cache: "no-store", headers: { Accept: "text/event-stream" } });
  if (!response.ok || response.body === null) throw new NoStream(String(response.status));
  const reader = response.body.getReader();
  const parser = new EventParser();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      yield* parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
