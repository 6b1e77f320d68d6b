/** The part of a page that takes files, checks them and shows what comes out. */
import { element } from "./dom.ts";
import { type Held, type Verdict, heldFile, judgeAll } from "./judge.ts";
import { type Anchor, verdictView } from "./report_view.ts";
import type { Between } from "../lib/index.ts";
import type { Words } from "./words.ts";

const FRAME_MS = 100;
/** Before that the time that is left is not guessed. */
const ESTIMATE_SECONDS = 2;

/** What the reader knows of the election: its network id, null if she does not say; empty if it is malformed. */
export type Known = () => { network: string | null; anchor: Anchor };

export class Checker {
  private held: Held[] = [];
  private verdicts: Verdict[] = [];
  /** Counts the checks: an older one that still runs shows nothing any more. */
  private turn = 0;
  private leads = false;
  private readonly status = element("p", { role: "status" });
  /** Beside the status, which a screen reader would read out with each of its changes. */
  private readonly progress = element("div");
  private readonly bar = element("progress", { max: "1" });
  private readonly soFar = element("p", { class: "quiet" });
  private readonly found = element("div", { id: "found" });

  constructor(
    private words: Words,
    private readonly known: Known,
  ) {
    for (const name of ["dragover", "drop"] as const) {
      document.addEventListener(name, (event) => {
        event.preventDefault();
        if (name === "drop") void this.take([...(event.dataTransfer?.files ?? [])]);
      });
    }
  }

  /** Where files are chosen or dropped. */
  intake(): HTMLElement[] {
    const { words } = this;
    const files = element("input", { type: "file", multiple: "", id: "files" });
    files.addEventListener("change", () => {
      void this.take([...(files.files ?? [])]);
      files.value = "";
    });
    return [
      element(
        "div",
        { class: "drop" },
        element("label", { for: "files", class: "button" }, words.say("choose")),
        files,
        element("p", {}, words.say("drop")),
      ),
      element("p", { class: "quiet" }, words.say("takes")),
    ];
  }

  /** What came out, and a button that forgets it. */
  outcome(): HTMLElement[] {
    const clear = element("button", { type: "button" }, this.words.say("clear"));
    clear.addEventListener("click", () => {
      this.held = [];
      void this.check();
    });
    return [this.status, this.progress, this.found, clear];
  }

  /** Shows the verdicts so far in this language. */
  show(words = this.words): void {
    this.words = words;
    const { verdicts } = this;
    this.progress.replaceChildren();
    const { network, anchor } = this.known();
    this.found.replaceChildren(...verdicts.map((verdict) => verdictView(words, verdict, anchor)));
    const last = verdicts.at(-1);
    this.status.textContent = last === undefined ? "" : `${last.file.name}: ${words.say(`verdict.${last.outcome}`)}`;
    if (network === "") this.status.textContent = words.say("networkBad");
  }

  async take(files: readonly File[]): Promise<void> {
    for (const file of files) {
      const made = await heldFile({ blob: file, name: file.name });
      this.held = [...this.held.filter((each) => each.name !== file.name), made];
    }
    await this.check(true);
  }

  /** `isAsked`: the reader has just given files, and is led to what comes out. */
  async check(isAsked = false): Promise<void> {
    const turn = ++this.turn;
    this.verdicts = [];
    this.leads = isAsked;
    this.show();
    const { network } = this.known();
    if (network === "") return;
    const context = { now: Math.floor(Date.now() / 1000), network, step: this.stepper(turn) };
    for await (const verdict of judgeAll(this.held, context)) {
      if (turn !== this.turn) return;
      this.verdicts.push(verdict);
      this.show();
      this.lead();
    }
  }

  /** Shows now and then how far a check is, and lets the browser draw; ends a check once another has begun. */
  private stepper(turn: number): Between {
    const begun = performance.now();
    let last = begun;
    return async (votes, done) => {
      const now = performance.now();
      if (now - last < FRAME_MS) return;
      if (turn !== this.turn) throw new Error("another check has begun");
      this.showProgress(votes, done, (now - begun) / 1000);
      await new Promise((resolve) => setTimeout(resolve));
      last = performance.now();
    };
  }

  /** Brings the status into view, once for each check: on a phone it is below what is read first. */
  private lead(): void {
    if (this.leads) this.status.scrollIntoView?.({ block: "start" });
    this.leads = false;
  }

  private showProgress(votes: number, done: number | null, seconds: number): void {
    const { words } = this;
    const isLong = (each: Held) => each.kind === "archive";
    const file = (this.held.find(isLong) ?? this.held.find((each) => each.kind !== "roll"))?.name ?? "";
    if (this.progress.firstChild === null) {
      this.status.textContent = words.say("checking", { file });
      this.progress.append(this.bar, this.soFar);
      this.lead();
      this.bar.setAttribute("aria-label", words.say("checking", { file }));
    }
    this.bar.value = done ?? 1;
    if (done === null) return void (this.soFar.textContent = words.say("opening"));
    const left = Math.ceil((seconds / done) * (1 - done));
    const time =
      left < 90 ? words.say("left.seconds", { n: left }) : words.say("left.minutes", { n: Math.ceil(left / 60) });
    const soFar = words.say("soFarChecked", { votes: words.number(votes) });
    this.soFar.textContent = seconds < ESTIMATE_SECONDS || done === 0 ? soFar : `${soFar} ${time}`;
  }
}
