/** Follows the small state of the election: events where they come, else questions with growing pauses. */
import { NoStream, eventsOf } from "./event_stream.ts";
import { retryAfter, secondsBehind } from "./pauses.ts";

const SILENCE_MS = 10_000;
const POLL_SECONDS = 5;
/** So often the state is asked for where streams are refused, before a stream is tried again. */
const POLLS_WHEN_REFUSED = 12;

export interface Watcher {
  /** A state as text; `isEvent`: the server says that more than the time has changed. */
  heard(text: string, isEvent: boolean): void;
  /** Says that nothing came since then; null once something comes again. */
  silent(since: Date | null): void;
}

/** From its making until `end`. */
export class StateStream {
  private heardAt = Date.now();
  private isSilent = false;
  private readonly stay = new AbortController();
  private attempt = new AbortController();
  /** Questions without an answer, one after the other. */
  private failures = 0;

  constructor(
    private readonly api: string,
    private readonly watcher: Watcher,
  ) {
    const watchdog = setInterval(() => this.watch(), 1_000);
    this.stay.signal.addEventListener("abort", () => clearInterval(watchdog));
    watcher.silent(null);
    void this.follow(this.stay.signal);
  }

  end(): void {
    this.stay.abort();
    this.attempt.abort();
  }

  private async follow(stay: AbortSignal): Promise<void> {
    while (!stay.aborted) {
      let polls = await this.streamed();
      for (; polls > 0 && !stay.aborted; polls--) {
        const asked = await this.poll(stay);
        const grown = this.failures === 0 ? 0 : secondsBehind(this.failures, asked);
        await pause(1_000 * Math.max(POLL_SECONDS, grown), stay);
      }
    }
  }

  /** Reads a stream to its end; returns how often to ask before the next one. */
  private async streamed(): Promise<number> {
    this.attempt = new AbortController();
    try {
      for await (const event of eventsOf(`${this.api}/events`, this.attempt.signal, () => this.heard())) {
        if (event.type === "state") this.take(event.data, true);
      }
    } catch (error) {
      if (error instanceof NoStream) return POLLS_WHEN_REFUSED;
    }
    return 1;
  }

  /** Asks once; returns the seconds that the server asks to wait. */
  private async poll(signal: AbortSignal): Promise<number | null> {
    this.failures += 1;
    try {
      const response = await fetch(`${this.api}/state`, { signal, cache: "no-store" });
      const text = await response.text();
      if (!response.ok) return retryAfter(response);
      this.failures = 0;
      this.heard();
      this.take(text, false);
    } catch {
      // The watchdog tells the reader.
    }
    return null;
  }

  private take(text: string, isEvent: boolean): void {
    if (!this.stay.signal.aborted) this.watcher.heard(text, isEvent);
  }

  private heard(): void {
    this.heardAt = Date.now();
    if (!this.isSilent || this.stay.signal.aborted) return;
    this.isSilent = false;
    this.watcher.silent(null);
  }

  /** Ends a stream that is silent, and says so. */
  private watch(): void {
    if (Date.now() - this.heardAt < SILENCE_MS || this.isSilent) return;
    this.isSilent = true;
    this.watcher.silent(new Date(this.heardAt));
    this.attempt.abort();
  }
}

/** Waits; less if `signal` ends it. */
export const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });

/** Calls `enter` whenever the page begins to be seen, and what it returned once the page is hidden or left. */
export function whileSeen(enter: () => () => void): void {
  let leave: (() => void) | null = null;
  const turn = (isSeen: boolean) => {
    leave?.();
    leave = isSeen ? enter() : null;
  };
  document.addEventListener("visibilitychange", () => turn(!document.hidden));
  addEventListener("pagehide", () => turn(false));
  addEventListener("pageshow", ({ persisted }) => persisted && turn(!document.hidden));
  turn(!document.hidden);
}
