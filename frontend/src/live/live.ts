/** Shows the newest page while a reader sees it. */
import { StateStream, pause } from "../api/state_stream.ts";

const SILENCE_SECONDS = 10;
const REFRESH_MS = 1_000;
/** The pause behind a refresh is at least so many times as long as the refresh took: a slow server is asked less. */
const REST = 10;

/** What this module reads of the small state. */
interface State {
  at: number;
  stale: number;
  height: number;
  tip: string;
}

export interface Readers {
  /** Fetches the page again and shows it. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Says that no news came since then; null once there are some again. */
  silent(since: Date | null): void;
}

/** One stay of a reader at a page: from when the page is seen until it is not. */
export class Live {
  /** The state that is shown, without what changes by itself; empty if it is not known. */
  private shown = "";
  private refreshing = false;
  private again = false;
  private readonly stay = new AbortController();
  private readonly stream: StateStream;

  /** `event`: the id of the event whose state the page shows already; empty if it is not known. */
  constructor(
    api: string,
    private readonly readers: Readers,
    private event = "",
  ) {
    this.stream = new StateStream(api, {
      heard: (text, isEvent) => this.take(text, isEvent),
      silent: (since) => readers.silent(since),
    });
  }

  end(): void {
    this.stay.abort();
    this.stream.end();
  }

  /** A state of the election; `news` if the server says that more than the time has changed. */
  private take(text: string, news: boolean): void {
    const { at: _, stale, ...state } = JSON.parse(text) as State;
    const shown = JSON.stringify([state, stale > SILENCE_SECONDS]);
    const known = this.event === `${state.height}.${state.tip}` || (shown === this.shown && !(news && stale === 0));
    this.event = "";
    this.shown = shown;
    if (known) return;
    this.again = true;
    if (!this.refreshing) void this.refresh(this.stay.signal);
  }

  /** Shows the newest state; all that comes meanwhile makes one refresh more. */
  private async refresh(stay: AbortSignal): Promise<void> {
    this.refreshing = true;
    while (this.again && !stay.aborted) {
      this.again = false;
      const began = Date.now();
      try {
        await this.readers.refresh(stay);
      } catch {
        this.shown = "";
      }
      await pause(Math.max(REFRESH_MS, REST * (Date.now() - began)), stay);
    }
    this.refreshing = false;
  }
}
