/** A booth without a page, for tests. */
import assert from "node:assert/strict";
import { Api } from "../src/api/client.ts";
import { Booth } from "../src/booth/booth.ts";
import { Pause } from "../src/booth/pause.ts";
import { type Shelf, Store, shelfOf } from "../src/booth/store.ts";
import type { BallotWorker } from "../src/booth/sealing.ts";
import { type WorkerQuestion, workerTasks } from "../src/secret/worker_tasks.ts";
import type { ScriptedElection } from "./scripted_election.ts";

/** Ends each wait at once, and tells how long it would have been. */
class NoPause extends Pause {
  readonly waits: number[] = [];
  override async wait(ms: number): Promise<void> {
    this.waits.push(ms);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The worker of secret ballots in this thread. It answers once whoever asked has returned. */
export class ThreadWorker implements BallotWorker {
  onmessage: BallotWorker["onmessage"] = null;
  onerror: BallotWorker["onerror"] = null;
  isEnded = false;
  private readonly answer = workerTasks(
    (count) => crypto.getRandomValues(new Uint8Array(count)),
    (data) => this.onmessage?.({ data: structuredClone(data) }),
  );

  postMessage(asked: WorkerQuestion, transfer: ArrayBuffer[]): void {
    const copy = structuredClone(asked, { transfer });
    setImmediate(() => {
      if (!this.isEnded) this.answer(copy);
    });
  }

  terminate(): void {
    this.isEnded = true;
  }
}

/** A shelf in memory. */
export const noShelf = (): Shelf =>
  shelfOf(() => {
    throw new Error("storage is off");
  });

/** A booth in a tab of its own. */
export class Tab {
  readonly pause = new NoPause();
  readonly booth: Booth;
  /** The newest worker that was started. */
  worker: ThreadWorker | null = null;
  private changed: (() => void)[] = [];

  constructor(
    readonly election: ScriptedElection,
    readonly session: Shelf = noShelf(),
    readonly device: Shelf | null = noShelf(),
  ) {
    const api = new Api(election.fetch);
    const draw = () => this.changed.splice(0).forEach((each) => each());
    const store = new Store(session, device);
    const worker = () => (this.worker = new ThreadWorker());
    this.booth = new Booth({ api, store, draw, moved: () => undefined, pause: this.pause, worker });
  }

  /** Waits until the booth shows something. */
  async until(what: (booth: Booth) => boolean): Promise<void> {
    while (!what(this.booth)) await new Promise<void>((resolve) => this.changed.push(resolve));
  }

  get kind(): string {
    return this.booth.screen.kind;
  }

  /** Answers the four contests of the scripted election. */
  choose(): void {
    const { booth } = this;
    if (this.kind === "welcome") booth.go({ kind: "contest", index: 0 });
    booth.toggle(0, "محمد");
    booth.next(0);
    booth.toggle(1, "Dewi");
    booth.toggle(1, "Ann");
    booth.next(1);
    for (const name of ["Library", "Harbour hall"]) booth.toggle(2, name);
    booth.move(2, "Harbour hall", -1);
    booth.next(2);
    booth.toggle(3, "Yes");
    booth.next(3);
    assert.equal(this.kind, "review");
  }

  async vote(code: string | null): Promise<void> {
    await this.booth.start(code);
    this.choose();
    this.booth.cast();
    await this.until((booth) => booth.outcome?.readBack != null || booth.step === "error");
  }
}
