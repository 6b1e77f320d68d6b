/** A signed vote on its way: what has come of it, up to the choices that are read back from another node. */
import { answered, isTrouble, retryOf } from "../api/again.ts";
import type { Api } from "../api/client.ts";
import { secondsBehind } from "../api/pauses.ts";
import { Caster, type FirstVote, type Means, type Progress } from "./caster.ts";
import { Contradiction, type SignedVote, checkReadBack } from "./proof.ts";
import type { Lie, Screen } from "./screen.ts";

const READ_BACK_TRIES = 5;

/** What has come of the vote so far. */
export interface Outcome {
  own: SignedVote;
  /** The last word about the way to the election, while it is on its way. */
  way: Extract<Progress, { at: "sending" | "waiting" }> | null;
  /** The named nodes that have signed that they hold it; null before any node took it. */
  received: { by: string[]; node: string } | null;
  final: Extract<Progress, { at: "final" }> | null;
  /** Where no nodes are named: its block. */
  inBlock: number | null;
  /** The choices as another node showed them, and that node. */
  readBack: { choices: string[][]; node: string | null; other: boolean } | null;
  /** Why there are no choices: no node has shown them, or one showed others. */
  unread: "no-answer" | Lie | null;
  /** The voter's answer to "Is this what you chose?". */
  answer: "yes" | "no" | null;
}

export interface FollowMeans extends Means {
  api: Means["api"] & Pick<Api, "nodes">;
  show(screen: Screen): void;
  draw(): void;
  /** The election never takes these bytes. */
  refused(code: string): void;
  /** Another vote of this voter was there first. */
  other(first: FirstVote): void;
}

export class Following {
  outcome: Outcome;
  isRunning = true;
  /** The next voter is here, or a lie stands over it. */
  private isLeft = false;

  constructor(
    private readonly means: FollowMeans,
    private readonly own: SignedVote,
  ) {
    const none = { way: null, received: null, final: null, inBlock: null, readBack: null, unread: null, answer: null };
    this.outcome = { own, ...none };
  }

  leave(): void {
    this.isLeft = true;
    this.isRunning = false;
  }

  /** Whether nothing more will happen to the vote. */
  get isDone(): boolean {
    return this.outcome.final !== null || this.outcome.inBlock !== null;
  }

  /** Hands it in and follows it to its end. Throws `Contradiction`. */
  async run(): Promise<void> {
    try {
      for await (const progress of new Caster(this.means, this.own).run()) {
        if (this.isLeft) return;
        this.take(progress);
      }
      if (this.isDone) await this.readBack();
    } finally {
      this.isRunning = false;
    }
  }

  private take(progress: Progress): void {
    const { outcome } = this;
    switch (progress.at) {
      case "sending":
      case "waiting":
        return this.underWay(progress);
      case "refused":
        this.isRunning = false;
        return this.means.refused(progress.code);
      case "other":
        this.isRunning = false;
        return this.means.other(progress.first);
      case "received":
        this.outcome = {
          ...outcome,
          received: { by: progress.by, node: progress.node || (outcome.received?.node ?? "") },
        };
        break;
      case "in-block":
        this.outcome = { ...outcome, inBlock: progress.height };
        break;
      case "final":
        this.outcome = { ...outcome, final: progress };
        break;
    }
    this.outcome = { ...this.outcome, way: null };
    this.means.show({ kind: "after" });
  }

  private underWay(way: NonNullable<Outcome["way"]>): void {
    const wasRefused = this.outcome.way?.at === "waiting" && this.outcome.way.isRefused;
    const isRefused = way.at === "waiting" ? way.isRefused : wasRefused;
    // While a refused vote is sent again, the screen says what it said.
    this.outcome = { ...this.outcome, way: way.at === "sending" && wasRefused ? this.outcome.way : way };
    // Sent again for a node that does not have it: those that have signed for it still have.
    if (this.outcome.received !== null) return;
    const code = this.outcome.way?.at === "waiting" ? this.outcome.way.code : "";
    this.means.show(isRefused ? { kind: "refused", code, kept: true } : { kind: "casting" });
  }

  // -- reading back ----------------------------------------------------------------------------

  /** Asks another node than the one that took the vote for its choices. */
  async readBack(): Promise<void> {
    this.change({ unread: null });
    try {
      if (!(await this.isRead())) this.change({ unread: "no-answer" });
    } catch (error) {
      if (!(error instanceof Contradiction)) throw error;
      // What was proven before stays, and so does its receipt.
      this.change({ unread: { what: error.what, detail: error.detail } });
    }
  }

  private async isRead(): Promise<boolean> {
    const asked = this.outcome.received?.node || this.outcome.final?.node || null;
    for (let tries = 1; tries <= READ_BACK_TRIES; tries++) {
      let trouble: unknown = null;
      try {
        const found = await this.means.api.vote(this.own.vote.voter_id, asked);
        if (found.vote !== null) {
          const { choices } = checkReadBack(found.vote, this.own);
          const other = found.node !== null && found.node !== asked;
          this.change({ readBack: { choices, node: await this.nodeName(found.node), other } });
          return true;
        }
      } catch (error) {
        if (!isTrouble(error)) throw error;
        trouble = error;
      }
      if (this.isLeft) return false;
      if (tries < READ_BACK_TRIES) await this.means.pause(secondsBehind(tries, retryOf(trouble)) * 1000);
    }
    return false;
  }

  /** The name of a node, where the server knows one, else its address. */
  private async nodeName(address: string | null): Promise<string | null> {
    const known = await answered(() => this.means.api.nodes());
    return known?.nodes.find((node) => node.address === address)?.name ?? address;
  }

  answer(answer: "yes" | "no"): void {
    this.change({ answer });
  }

  private change(changes: Partial<Outcome>): void {
    if (this.isLeft) return;
    this.outcome = { ...this.outcome, ...changes };
    this.means.draw();
  }
}
