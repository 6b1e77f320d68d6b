/** Hands in a signed vote and follows it until it is final. The same bytes are sent however often that takes. */
import { answered, isTrouble, retryOf } from "../api/again.ts";
import { type Api, NoAnswer, type Refused } from "../api/client.ts";
import { secondsBehind } from "../api/pauses.ts";
import type { CastAnswer, VoteAnswer } from "../api/types.ts";
import type { InForce } from "../lib/amendment.ts";
import type { Election } from "../lib/definition.ts";
import { Contradiction, type SignedVote, checkFound, provenAcceptances, provenReceipt } from "./proof.ts";
import { isBusy, isForGood } from "./refusals.ts";

export type Progress =
  | { at: "sending"; attempt: number }
  /** No node has it for certain; it is sent again in so many seconds. `isRefused`: the nodes do not take it now. */
  | { at: "waiting"; attempt: number; seconds: number; code: string; isRefused: boolean }
  /** `by`: the named nodes whose signatures were checked here. */
  | { at: "received"; by: string[]; node: string }
  /** In a block, of a chain that no nodes sign. */
  | { at: "in-block"; height: number; node: string }
  | { at: "final"; signedBy: string[]; receipt: string; node: string }
  /** The election never takes these bytes: a code of the nodes. */
  | { at: "refused"; code: string }
  /** Another vote of this voter was there first. */
  | { at: "other"; first: FirstVote };

/** A vote that a voter has in the election: its time, and its record where that can be had. */
export interface FirstVote {
  time: number | null;
  vote: SignedVote | null;
}

export async function firstVote(
  found: VoteAnswer,
  voterId: string,
  api: Pick<Api, "vote">,
  election: Election,
): Promise<FirstVote> {
  // A node shows the record of a vote that is in no block yet only where it is asked to read it back.
  const shown = found.vote === null ? await answered(() => api.vote(voterId, found.node)) : found;
  const vote = shown?.vote == null ? null : checkFound(shown.vote, voterId, shown.vote_id, election);
  return { time: vote?.vote.time ?? found.time, vote };
}

export interface Means {
  api: Pick<Api, "cast" | "vote" | "receipt" | "clock">;
  election: Election;
  /** The election in force: its closing time may move. */
  force(): InForce;
  /** Asks what is in force now; false where no answer comes. */
  refresh(): Promise<boolean>;
  /** Waits so long, or until somebody hurries it. */
  pause(ms: number): Promise<void>;
}

const REFUSED_SECONDS = [5, 10, 20, 40, 60];
const LOOKS_MS = [300, 500, 700, 1000, 1500, 2000];
/** Looks that find no vote, after which it is sent again: the node that took it may be gone. */
const LOOKS_IN_VAIN = 4;

const step = <T>(list: readonly T[], at: number): T => list[Math.min(at, list.length - 1)]!;

/** Either a wait before the next try, or how it ended. */
type Sent = [{ seconds: number; code: string; isRefused: boolean }, null] | [null, Progress];

export class Caster {
  /** Questions about the vote that had no answer, one after the other, and the last of these failures. */
  private failed: { times: number; error: unknown } = { times: 0, error: null };

  constructor(
    private readonly means: Means,
    private readonly own: SignedVote,
  ) {}

  /** Everything that happens to the vote, up to its end. Throws `Contradiction`. */
  async *run(): AsyncGenerator<Progress> {
    for (;;) {
      let by: string[] = [];
      for await (const progress of this.deliver()) {
        yield progress;
        if (progress.at === "refused" || progress.at === "other") return;
        if (progress.at === "received") by = progress.by;
      }
      for await (const progress of this.follow(by)) {
        yield progress;
        if (progress.at !== "received") return;
      }
      if (this.means.force().cancelled) return; // nothing more happens to it
    }
  }

  /** Sends the vote until a node has it, or it can never be counted. */
  private async *deliver(): AsyncGenerator<Progress> {
    for (let attempt = 1; ; attempt++) {
      yield { at: "sending", attempt };
      const [wait, answer] = await this.sent(attempt);
      if (answer !== null) {
        yield answer;
        return;
      }
      yield { at: "waiting", attempt, ...wait };
      await this.means.pause(wait.seconds * 1000);
    }
  }

  private async sent(attempt: number): Promise<Sent> {
    const wait = (error: unknown, code: string): Sent => [
      { seconds: secondsBehind(attempt, retryOf(error)), code, isRefused: false },
      null,
    ];
    try {
      const progress = await this.received(await this.means.api.cast(this.own.record));
      return progress === null ? wait(null, "no-answer") : [null, progress];
    } catch (error) {
      if (!isTrouble(error)) throw error;
      if (error instanceof NoAnswer) return wait(error, "no-answer");
      return isBusy(error) ? wait(error, error.code) : ((await this.looked(error, attempt)) ?? wait(error, error.code));
    }
  }

  /** What the answer proves; null where that cannot be told now. */
  private async received(answer: CastAnswer): Promise<Progress | null> {
    const { force } = this.means;
    if (answer.vote_id !== this.own.id) throw new Contradiction("other-vote", answer.vote_id);
    const { closes } = force();
    try {
      return this.proven(answer);
    } catch (error) {
      // The hours may have moved while this page heard nothing.
      if (!(error instanceof Contradiction)) throw error;
      if (!(await this.means.refresh())) return null;
      if (force().closes === closes) throw error;
      return this.proven(answer);
    }
  }

  private proven(answer: CastAnswer): Progress {
    const { election, force } = this.means;
    return { at: "received", by: provenAcceptances(answer, this.own.id, election, force()), node: answer.node };
  }

  /**
   * What a refusal means. The vote may be there all the same: an answer to an earlier try may have been lost. Null
   * where that cannot be told now.
   */
  private async looked(error: Refused, attempt: number): Promise<Sent | null> {
    const found = await this.ask((api) => api.vote(this.own.vote.voter_id));
    if (found === null) return null;
    if (found.state !== "unknown") {
      if (found.vote_id === this.own.id) {
        return [null, { at: "received", by: await this.receivedBy(), node: found.node ?? "" }];
      }
      const other = await this.other(found);
      return other === null ? null : [null, other];
    }
    await this.means.refresh();
    const { code } = error;
    if (isForGood(code, this.means.force(), this.means.api.clock.now())) return [null, { at: "refused", code }];
    const seconds = Math.max(step(REFUSED_SECONDS, attempt - 1), secondsBehind(attempt, retryOf(error)));
    return [{ seconds, code, isRefused: true }, null];
  }

  /** Another vote of this voter, such as one cast on another device. Null where that cannot be told now. */
  private async other(found: VoteAnswer): Promise<Progress | null> {
    const { api, election } = this.means;
    const first = await firstVote(found, this.own.vote.voter_id, api, election);
    if (first.vote === null || first.vote.id === this.own.id) return null;
    if (!this.isOfVoter(first.vote)) {
      if (!(await this.means.refresh())) return null;
      if (!this.isOfVoter(first.vote)) throw new Contradiction("other-vote", first.vote.id);
    }
    return { at: "other", first };
  }

  /** Whether the voter can have signed a vote: with the key of the vote here, or the one that took its place. */
  private isOfVoter({ vote }: SignedVote): boolean {
    const { election, force } = this.means;
    const { voter_id: voter, voter_key: key } = this.own.vote;
    if (election.definition.registration !== "roll") return true;
    return vote.voter_key === key || vote.voter_key === force().keyOf(voter);
  }

  /** The named nodes whose signatures for the vote can be had now. */
  private async receivedBy(): Promise<string[]> {
    const receipt = await this.ask((api) => api.receipt(this.own.vote.voter_id, true));
    return receipt === null ? [] : (this.provenBy(receipt)?.signedBy ?? []);
  }

  private provenBy(receipt: string): ReturnType<typeof provenReceipt> {
    return provenReceipt(receipt, this.own, this.means.election, this.means.api.clock.now());
  }

  /** Looks where the vote is until it is final; ends without that where no node has it any more. */
  private async *follow(by: readonly string[]): AsyncGenerator<Progress> {
    let vain = 0;
    let most = by.length;
    for (let look = 1; vain < LOOKS_IN_VAIN && !this.means.force().cancelled; look++) {
      await this.means.pause(this.pauseBefore(look));
      const found = await this.look();
      vain = found === "unknown" ? vain + 1 : 0;
      if (typeof found === "object") {
        yield found;
        return;
      }
      if (look % LOOKS_IN_VAIN !== 0 || most === this.means.election.definition.nodes.length) continue;
      const more = await this.receivedBy();
      if (more.length > most) yield { at: "received", by: more, node: "" };
      most = Math.max(most, more.length);
    }
  }

  /** Milliseconds; more behind failures, one after the other. */
  private pauseBefore(look: number): number {
    const { times, error } = this.failed;
    return Math.max(step(LOOKS_MS, look - 1), times === 0 ? 0 : secondsBehind(times, retryOf(error)) * 1000);
  }

  private async look(): Promise<Progress | "unknown" | "waiting"> {
    const { election } = this.means;
    // The server or its nodes may be away for a moment.
    const found = await this.ask((api) => api.vote(this.own.vote.voter_id));
    if (found === null) return "waiting";
    if (found.state === "unknown") return "unknown";
    if (found.vote_id !== this.own.id) return (await this.other(found)) ?? "waiting";
    const node = found.node ?? "";
    if (!election.named) return found.height === null ? "waiting" : { at: "in-block", height: found.height, node };
    return found.state === "final" ? this.checkedFinal(node) : "waiting";
  }

  private async checkedFinal(node: string): Promise<Progress | "waiting"> {
    const receipt = await this.ask((api) => api.receipt(this.own.vote.voter_id));
    const proven = receipt === null ? null : this.provenBy(receipt);
    if (proven?.finality !== "final") return "waiting";
    return { at: "final", signedBy: proven.signedBy, receipt: receipt!, node };
  }

  /** An answer about the vote; null for none. */
  private async ask<T>(question: (api: Means["api"]) => Promise<T>): Promise<T | null> {
    try {
      const answer = await question(this.means.api);
      this.failed = { times: 0, error: null };
      return answer;
    } catch (error) {
      if (!isTrouble(error)) throw error;
      this.failed = { times: this.failed.times + 1, error };
      return null;
    }
  }
}
