/** The ballot of a secret election: encrypted in a worker, then cast, or tested and thrown away. */
import { utf8 } from "../lib/bytes.ts";
import type { Election } from "../lib/definition.ts";
import type { Json } from "../lib/json.ts";
import { fingerprint } from "../secret/documents.ts";
import type { WorkerAnswer, WorkerQuestion } from "../secret/worker_tasks.ts";
import { Contradiction } from "./proof.ts";

/** What the booth needs of a `Worker`. */
export interface BallotWorker {
  onmessage: ((event: { data: WorkerAnswer }) => void) | null;
  onerror: ((event: never) => void) | null;
  postMessage(asked: WorkerQuestion, transfer: ArrayBuffer[]): void;
  terminate(): void;
}

interface Means {
  election: Election;
  worker(): BallotWorker;
  /** The state has changed. */
  changed(): void;
  /** The ballot is there. */
  sealed(): void;
  /** The file of the ballot that was tested is there. */
  tested(file: string): void;
  broken(error: unknown): void;
}

/** One encryption: its worker has what opens the ballot, and ends with it. */
export class Sealing {
  done = 0;
  all = 1;
  ballot: string | null = null;
  /** Of the ballot, also once it is opened. */
  fingerprint = "";
  /** The worker could not be loaded. */
  isFailed = false;
  private readonly worker: BallotWorker;

  /** `code`: 26 characters. */
  constructor(
    private readonly means: Means,
    choices: string[][],
    code: string,
  ) {
    this.worker = means.worker();
    this.worker.onmessage = ({ data }) => this.take(data);
    this.worker.onerror = () => {
      this.isFailed = true;
      means.changed();
    };
    const secret = utf8(code) as Uint8Array<ArrayBuffer>;
    const definition = means.election.definition as unknown as Json;
    this.worker.postMessage({ kind: "make", definition, choices, secret: { code: secret } }, [secret.buffer]);
  }

  /** Asks for what opens the ballot: from here on it must not be cast. */
  test(): void {
    if (this.ballot === null) return;
    this.ballot = null;
    this.worker.postMessage({ kind: "open" }, []);
  }

  /** Forgets everything. */
  end(): void {
    this.worker.onmessage = this.worker.onerror = null;
    this.worker.terminate();
  }

  private take(answer: WorkerAnswer): void {
    const { means } = this;
    if (answer.kind === "progress") {
      this.done = answer.done;
      this.all = answer.all;
      return means.changed();
    }
    if (answer.kind === "tested") return means.tested(answer.file);
    if (answer.kind === "ballot" && answer.network === means.election.networkHex) {
      this.ballot = answer.ballot;
      this.fingerprint = fingerprint(answer.ballot);
      return means.sealed();
    }
    // Its key is not the trustees', or it is the ballot of another election.
    const isLie = answer.kind !== "fault" || answer.code === "bad-genesis";
    means.broken(isLie ? new Contradiction("network", "bad-genesis") : new Error(JSON.stringify(answer)));
  }
}
