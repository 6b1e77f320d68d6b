/** The booth: what a voter has done so far, and what happens next. It draws nothing itself. */
import { answered, isTrouble, retryOf } from "../api/again.ts";
import type { Api } from "../api/client.ts";
import { secondsBehind } from "../api/pauses.ts";
import type { LiveState } from "../api/types.ts";
import { hex } from "../lib/bytes.ts";
import type { Contest, Election } from "../lib/definition.ts";
import { signVote } from "../lib/vote.ts";
import { Ballot } from "./ballot.ts";
import { type FirstVote, firstVote } from "./caster.ts";
import { type Pick, moved, toggled } from "./choices.ts";
import { Following, type Outcome } from "./following.ts";
import { Identification } from "./identification.ts";
import { keyFile } from "./identity.ts";
import { KnownElection } from "./known_election.ts";
import { Pause } from "./pause.ts";
import { Contradiction, type SignedVote, readVote, signedVote } from "./proof.ts";
import { type BallotWorker, Sealing } from "./sealing.ts";
import { type Notice, type Screen, type Session, type Step, type Voter, isBallot, readSession } from "./screen.ts";
import type { Store } from "./store.ts";
import type { Places, SentenceName } from "./words.ts";

export interface Surroundings {
  api: Api;
  store: Store;
  /** Called after each change. */
  draw(booth: Booth): void;
  /** Called where another screen begins that the browser's back button shall leave. */
  moved(screen: Screen): void;
  /** Starts the worker that encrypts ballots. */
  worker(): BallotWorker;
  pause?: Pause;
}

export class Booth {
  screen: Screen = { kind: "loading" };
  voter: Voter | null = null;
  notice: Notice | null = null;
  /** A sentence that is read out alone. */
  spoken: Notice | null = null;
  readonly entry: Identification;
  isLive = true;
  private ballot = new Ballot([]);
  private readonly known: KnownElection;
  private readonly pause: Pause;
  /** The vote that was cast, or seen again. */
  private following: Following | null = null;
  /** Where ballots are secret, at the review: the one that is encrypted. */
  sealing: Sealing | null = null;

  constructor(private readonly around: Surroundings) {
    this.pause = around.pause ?? new Pause();
    this.known = new KnownElection(around.api);
    this.entry = new Identification({
      ...{ api: around.api, store: around.store },
      election: () => this.election,
      say: (name, places) => this.say(name, places),
      show: (screen) => this.show(screen),
      draw: () => around.draw(this),
      identified: (voter, voted) => this.identified(voter, voted),
    });
  }

  get election(): Election {
    return this.known.election;
  }

  get isLoaded(): boolean {
    return this.known.isLoaded;
  }

  get closes(): number | null {
    return this.known.closes;
  }

  get hoursChanged(): boolean {
    return this.known.hoursChanged;
  }

  get cancelled(): KnownElection["cancelled"] {
    return this.known.cancelled;
  }

  get isSecret(): boolean {
    return this.known.isSecret;
  }

  get hasRoll(): boolean {
    return this.election.definition.registration === "roll";
  }

  get contests(): readonly Contest[] {
    return this.election.definition.contests;
  }

  get picks(): readonly Pick[] {
    return this.ballot.picks;
  }

  get reviewed(): boolean {
    return this.ballot.reviewed;
  }

  get outcome(): Outcome | null {
    return this.following?.outcome ?? null;
  }

  get step(): Step {
    const { screen } = this;
    if (screen.kind === "after" && typeof this.outcome?.unread === "object" && this.outcome.unread !== null)
      return "error";
    if (screen.kind === "code" || screen.kind === "id" || screen.kind === "welcome") return "identity";
    if (screen.kind === "after") return this.outcome?.received != null && !this.isDone ? "received" : "final";
    if (["loading", "contest", "review", "tested", "casting"].includes(screen.kind)) return screen.kind as Step;
    return "error";
  }

  /** Whether something of a voter is here: a voter, or a code. */
  get isBegun(): boolean {
    return this.voter !== null || this.entry.isBegun;
  }

  /** Whether a node took the vote, and no named node has signed yet that it has it. */
  get isUnsigned(): boolean {
    const { received, final } = this.outcome ?? { received: null, final: null };
    return this.election.named && final === null && received !== null && received.by.length === 0;
  }

  /** Whether nothing more will happen to the vote. */
  get isDone(): boolean {
    return this.following?.isDone === true;
  }

  // -- the beginning ---------------------------------------------------------------------------

  /** Fetches the election, and goes where the voter was. `code`: the fragment of a card's link. */
  async start(code: string | null): Promise<void> {
    for (let tries = 1; !this.isLoaded; tries++) {
      try {
        await this.known.ask();
      } catch (error) {
        if (!isTrouble(error)) return this.broken(error);
        this.show({ kind: "unreachable" });
        await this.pause.wait(secondsBehind(tries, retryOf(error)) * 1000);
      }
    }
    await this.guarded(() => this.enter(code));
  }

  private async enter(code: string | null): Promise<void> {
    const { store } = this.around;
    const session = readSession(store.session(), this.election.networkHex);
    if (session !== null && code === null) return this.resume(session);
    store.forget(); // a card in the hand says who votes now
    this.ballot = new Ballot(this.contests);
    if (code !== null && this.hasRoll) return this.typeCode(code);
    this.show(this.known.gate ?? this.first());
  }

  private first(): Screen {
    return { kind: this.hasRoll ? "code" : "id" };
  }

  private resume(session: Session): void {
    this.voter = session.voter;
    this.ballot = new Ballot(this.contests, session.picks, session.screen.kind === "review");
    if (session.cast !== null) return this.run(readVote(session.cast));
    const isAsked = session.screen.kind !== "welcome" || this.hasRoll;
    this.show(this.known.gate ?? (isAsked ? session.screen : { kind: "contest", index: 0 }));
  }

  // -- who votes -------------------------------------------------------------------------------

  typeCode(typed: string): Promise<void> {
    return this.guarded(() => this.entry.tryCode(typed));
  }

  /** Takes the code of a card that was scanned while the page is open. */
  async scan(code: string): Promise<void> {
    if (this.following?.isRunning === true && !this.isDone) return;
    await this.guarded(async () => {
      this.startAgain();
      if (this.hasRoll) await this.typeCode(code);
    });
  }

  typeId(typed: string): Promise<void> {
    return this.guarded(() => this.entry.tryId(typed));
  }

  private async identified(voter: Voter, voted: boolean): Promise<void> {
    if (this.voter !== null && !isSame(this.voter, voter)) this.forgetChoices();
    this.voter = voter;
    const kept = this.around.store.signedVote(this.election.networkHex, voter.key);
    // It was cast on this device, whether a node has it yet or not.
    if (kept !== null) return this.run(readVote(kept));
    const first = await this.firstVote(voter);
    if (voted || first !== null) {
      return this.used(first ?? { time: null, vote: null });
    }
    this.show(this.known.gate ?? (this.hasRoll ? { kind: "welcome" } : { kind: "contest", index: 0 }));
  }

  /** The vote of a voter that the election has; null for none, and where that cannot be told now. */
  private async firstVote(voter: Voter): Promise<FirstVote | null> {
    const { api } = this.around;
    const found = await answered(() => api.vote(voter.id));
    return found === null || found.state === "unknown" ? null : firstVote(found, voter.id, api, this.election);
  }

  /** Forgets the voter and the choices. */
  startAgain(): void {
    this.entry.forget();
    this.voter = null;
    this.unfollow();
    this.forgetChoices();
    this.show(this.known.gate ?? this.first());
  }

  /** Forgets how the voter here would vote; a vote that was signed stays, to be sent. */
  private forgetChoices(): void {
    this.around.store.forget();
    this.ballot = new Ballot(this.contests);
  }

  // -- the ballot ------------------------------------------------------------------------------

  toggle(index: number, name: string): boolean {
    const contest = this.contests[index]!;
    const picked = toggled(contest, this.picks[index]!, name);
    if (picked === null) {
      this.say("contest.full", { max: contest.max, name });
      return false;
    }
    this.pick(index, picked);
    return true;
  }

  move(index: number, name: string, by: number): void {
    this.pick(index, moved(this.picks[index]!, name, by));
  }

  setBlank(index: number, blank: boolean): void {
    this.pick(index, { choices: [], blank });
  }

  private pick(index: number, picked: Pick): void {
    this.ballot.put(index, picked);
    this.notice = null;
    this.keep();
    this.around.draw(this);
  }

  /** Goes on from a contest, if it has an answer. */
  next(index: number): void {
    const fault = this.ballot.fault(index);
    if (fault !== null) return this.say(fault.name, fault.places);
    const next = this.ballot.behind(index);
    this.ballot.reviewed ||= next.kind === "review";
    this.go(next);
  }

  skip(index: number): void {
    this.setBlank(index, true);
    this.next(index);
  }

  /** Goes to the screen before a contest; its choices stay. */
  back(index: number): void {
    this.go(index === 0 ? { kind: "welcome" } : { kind: "contest", index: index - 1 });
  }

  /** Goes to a screen of the ballot: by a button, or by the browser's back and forward. */
  go(screen: Screen, byHistory = false): void {
    if (!isBallot(this.screen) || !isBallot(screen) || this.following !== null) return;
    const index = screen.kind === "contest" ? screen.index : 0;
    const needsVoter = screen.kind === "contest" || screen.kind === "review" || screen.kind === "welcome";
    if (index >= this.contests.length || (needsVoter && this.voter === null)) return;
    if (screen.kind === "tested" || (screen.kind === "review" && !this.ballot.isComplete)) return;
    this.show(screen, byHistory);
  }

  // -- secret ballots --------------------------------------------------------------------------

  /** Encrypts the choices, each time with other random numbers. */
  seal(): void {
    this.unseal();
    const made = new Sealing(
      {
        election: this.election,
        worker: () => this.around.worker(),
        changed: () => this.around.draw(this),
        sealed: () => this.announce("secret.sealed", {}),
        tested: (file) => this.show({ kind: "tested", file, fingerprint: made.fingerprint }),
        broken: (error) => this.broken(error),
      },
      this.choices,
      this.voter!.code,
    );
    this.sealing = made;
    this.around.draw(this);
  }

  /** Opens the ballot that was encrypted instead of casting it. */
  test(): void {
    this.sealing?.test();
  }

  private unseal(): void {
    this.sealing?.end();
    this.sealing = null;
  }

  private get choices(): string[][] {
    return this.picks.map((pick) => pick.choices);
  }

  // -- casting ---------------------------------------------------------------------------------

  /** Signs the vote once, keeps it, and hands it in. */
  cast(): void {
    if (this.screen.kind !== "review" || this.voter === null || this.following !== null) return;
    const { voter, election } = this;
    const kept = this.around.store.signedVote(election.networkHex, voter.key);
    // Another tab was first.
    if (kept !== null) return this.used(known(readVote(kept)), { otherTab: true });
    const sealed = this.sealing?.ballot ?? undefined;
    if (this.isSecret && sealed === undefined) return;
    const choices = this.isSecret ? [] : this.choices;
    const time = this.around.api.clock.now();
    const own = signedVote(signVote(hex(voter.seed), election.networkHex, voter.id, choices, time, sealed));
    // Nothing on this device shall tell how the voter voted.
    if (this.isSecret) this.ballot = new Ballot(this.contests);
    this.around.store.keepSignedVote(election.networkHex, voter.key, own.record);
    this.run(own);
  }

  /** Another tab of this browser has signed a vote. */
  castElsewhere(key: string, record: string): void {
    if (!isBallot(this.screen) || this.voter?.key !== key) return;
    this.used(known(readVote(record)), { otherTab: true });
  }

  private used(first: FirstVote, more: { otherTab?: boolean; unlike?: boolean } = {}): void {
    this.show({ kind: "used", first, otherTab: false, unlike: false, ...more });
  }

  /** Follows a vote that was cast before. */
  see(first: SignedVote): void {
    this.run(first);
  }

  /** Sends what waits to be sent, at once. */
  hurry(): void {
    this.pause.hurry();
  }

  private run(own: SignedVote): void {
    if (this.following?.isRunning === true) return;
    const { api } = this.around;
    const made = new Following(
      {
        api,
        election: this.election,
        force: () => this.known.force,
        refresh: () => this.known.refresh(),
        pause: (ms) => this.pause.wait(ms),
        show: (screen) => this.show(screen),
        draw: () => this.around.draw(this),
        refused: (code) => this.refused(own, code),
        other: (first) => {
          this.drop(own);
          this.used(first, { unlike: true });
        },
      },
      own,
    );
    this.following = made;
    this.show({ kind: "casting" });
    void this.guarded(() => made.run());
  }

  private refused(own: SignedVote, code: string): void {
    this.drop(own);
    const gate = this.known.gate;
    this.show(code === "cancelled" && gate !== null ? gate : { kind: "refused", code, kept: false });
  }

  /** Forgets bytes that can never be counted. */
  private drop(own: SignedVote): void {
    this.around.store.dropSignedVote(this.election.networkHex, own.vote.voter_key);
    this.unfollow();
  }

  private unfollow(): void {
    this.following?.leave();
    this.following = null;
  }

  /** The key of an open election as a key file of the command line; null where a card has it, or it is gone. */
  keyFile(): string | null {
    return this.hasRoll ? null : keyFile(this.outcome!.own.vote, this.election, this.around.store);
  }

  /** Reads the vote back once more. */
  readAgain(): void {
    void this.guarded(() => this.following!.readBack());
  }

  answer(answer: "yes" | "no"): void {
    this.following!.answer(answer);
    this.announce(answer === "yes" ? "after.yesDone" : "after.noTitle", {});
  }

  // -- the state of the election ---------------------------------------------------------------

  /** Takes a state of the election that the page heard. */
  async heard(state: LiveState): Promise<void> {
    const { isChanged, isFurther } = this.known.heard(state);
    if (!this.isLoaded) return;
    await this.guarded(async () => {
      if (state.network_id !== this.election.networkHex) throw new Contradiction("network", state.network_id);
      if (isChanged || (isFurther && this.outcome?.received != null)) this.pause.hurry();
      if (state.closes !== this.closes || this.cancelled === "told") await this.known.refresh();
      this.watchHours();
      this.around.draw(this);
    });
  }

  /** Opens the ballot, or ends it, as the hours go by. */
  private watchHours(): void {
    const gate = this.known.gate;
    const stands = ["before", "closed", "cancelled"].includes(this.screen.kind);
    if (isBallot(this.screen) && gate !== null) this.show(gate);
    else if (stands && gate === null) this.reopen();
    else if (stands && JSON.stringify(gate) !== JSON.stringify(this.screen)) this.show(gate!);
  }

  private reopen(): void {
    if (this.voter === null) return this.show(this.first());
    this.show(this.hasRoll ? { kind: "welcome" } : { kind: "contest", index: 0 });
  }

  /** Has a sentence read out that stands nowhere: what changed is to be seen. */
  announce(name: SentenceName, places: Places): void {
    this.spoken = { name, places };
    this.around.draw(this);
  }

  setLive(isLive: boolean): void {
    this.isLive = isLive;
    this.around.draw(this);
  }

  // -- drawing and keeping ---------------------------------------------------------------------

  private say(name: SentenceName, places: Places = {}): void {
    this.notice = { name, places };
    this.spoken = null;
    this.around.draw(this);
  }

  private show(screen: Screen, byHistory = false): void {
    this.notice = null;
    this.screen = screen;
    this.spoken = null;
    this.unseal();
    if (screen.kind === "review" && this.isSecret) this.seal();
    this.keep();
    if (!byHistory) this.around.moved(screen);
    this.around.draw(this);
  }

  private keep(): void {
    const { screen, voter } = this;
    if (voter === null || !this.isLoaded) return;
    if (screen.kind === "used" || (screen.kind === "refused" && !screen.kept)) return this.around.store.forget();
    const isReview = screen.kind === "review" || screen.kind === "tested";
    const place = screen.kind === "contest" ? screen : ({ kind: isReview ? "review" : "welcome" } as const);
    const cast = this.outcome?.own.record ?? null;
    // Nothing more is signed behind a cast: the key need not be kept.
    const kept = cast === null ? voter : { ...voter, seed: "", code: "" };
    const session: Session = { network: this.election.networkHex, voter: kept, picks: this.picks, screen: place, cast };
    this.around.store.keepSession(JSON.stringify(session));
  }

  private async guarded(work: () => Promise<void> | void): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.broken(error);
    }
  }

  private broken(error: unknown): void {
    if (error instanceof Contradiction) {
      this.following?.leave(); // what the vote does next is not shown over the lie
      return this.show({ kind: "lie", what: error.what, detail: error.detail });
    }
    console.error(error);
    this.show({ kind: "defect" });
  }
}

const isSame = (one: Voter, other: Voter): boolean => one.id === other.id && one.key === other.key;
const known = (vote: SignedVote): FirstVote => ({ time: vote.vote.time, vote });
