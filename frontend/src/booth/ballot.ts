/** The choices of a voter in all contests, and which screen comes next. */
import type { Contest } from "../lib/definition.ts";
import { NOTHING, type Pick, missing } from "./choices.ts";
import type { Notice, Screen } from "./screen.ts";

export class Ballot {
  constructor(
    readonly contests: readonly Contest[],
    public picks: readonly Pick[] = contests.map(() => NOTHING),
    /** The review was seen: a contest leads back there. */
    public reviewed = false,
  ) {}

  put(index: number, picked: Pick): void {
    this.picks = this.picks.map((each, at) => (at === index ? picked : each));
  }

  /** The first contest without an answer; -1 for none. */
  private get unanswered(): number {
    return this.contests.findIndex((each, at) => missing(each, this.picks[at]!) !== null);
  }

  get isComplete(): boolean {
    return this.unanswered < 0;
  }

  /** Why a contest has no answer yet; null if it has one. */
  fault(index: number): Notice | null {
    const { blank, min } = this.contests[index]!;
    const fault = missing(this.contests[index]!, this.picks[index]!);
    if (fault === null) return null;
    if (fault === "nothing") return { name: blank ? "contest.nothing" : "contest.nothingNoBlank", places: {} };
    return { name: blank ? "contest.tooFew" : "contest.tooFewNoBlank", places: { min } };
  }

  /** The screen behind a contest that has an answer. */
  behind(index: number): Screen {
    const { unanswered } = this;
    const isReview = unanswered < 0 && (this.reviewed || index + 1 === this.contests.length);
    if (isReview) return { kind: "review" };
    return { kind: "contest", index: index + 1 < this.contests.length ? index + 1 : unanswered };
  }
}
