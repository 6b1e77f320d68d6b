/** The trustees' page: takes files, draws where the ceremony stands, and what is next. */
import { Fault } from "../lib/fault.ts";
import { shown } from "../lib/text.ts";
import { bulletinView, faultView } from "./bulletin_view.ts";
import { type Election, electionView } from "./count_view.ts";
import { readOwnCount, readOwnElection } from "./counting.ts";
import { Desk } from "./desk.ts";
import { button, element, part } from "./dom.ts";
import { taken } from "./intake.ts";
import { type Typed, cardsOf, turnView } from "./turn_view.ts";
import { LANGUAGES, type Language, type Words, wordsOf } from "./words.ts";

const NO_ELECTION: Election = { own: null, count: null, share: null };
const NOTHING_TYPED: Typed = { wrongCard: null, wrongGroup: false, showsCards: false };

export class TrusteePage {
  private words: Words;
  private typed = NOTHING_TYPED;
  private fault: Fault | null = null;
  private archive: File | null = null;
  private roll: Uint8Array | null = null;
  private genesis: Uint8Array | null = null;
  private election = NO_ELECTION;
  private pending = 0;
  private queue: Promise<void> = Promise.resolve();
  private readonly desk = new Desk((count) => crypto.getRandomValues(new Uint8Array(count)));
  private readonly status = element("p", { role: "status" });

  constructor(
    private readonly root: HTMLElement,
    language: Language,
  ) {
    this.words = wordsOf(language);
    for (const name of ["dragover", "drop"] as const) {
      document.addEventListener(name, (event) => {
        event.preventDefault();
        if (name === "drop") this.take([...(event.dataTransfer?.files ?? [])]);
      });
    }
    window.addEventListener("beforeunload", (event) => {
      // The key is nowhere else yet.
      if (this.desk.turn === "cards") event.preventDefault();
    });
    this.draw();
  }

  // -- what the reader does ------------------------------------------------------------------------

  private take(files: readonly File[]): void {
    this.work(async () => {
      const { ceremony, archive, roll, genesis } = await taken(files);
      this.desk.take(ceremony);
      this.archive = archive ?? this.archive;
      this.roll = roll ?? this.roll;
      this.genesis = genesis ?? this.genesis;
      this.election = NO_ELECTION;
    });
  }

  private choose(place: number): void {
    this.work(() => {
      this.desk.choose(place);
      this.dropShare();
    });
  }

  private readonly acts = {
    makeKey: () => this.work(() => this.desk.makeKey()),
    confirmCards: (typed: string) =>
      this.work(() => {
        this.typed = { ...NOTHING_TYPED, wrongGroup: !this.desk.confirmCards(typed) };
      }),
    typeCard: (typed: string) =>
      this.work(() => {
        this.typed = { ...NOTHING_TYPED, wrongCard: this.desk.typeCard(typed) };
      }),
    showCards: () => {
      this.typed = { ...NOTHING_TYPED, showsCards: true };
      this.draw();
    },
    decrypt: () => this.decrypt(),
    forget: () =>
      this.work(() => {
        this.desk.forget();
        this.dropShare();
      }),
  };

  /** Does something behind all that is under way, then all steps that are due; the browser draws in between. */
  private work(act: () => void | Promise<void>): void {
    this.pending++;
    this.status.textContent = this.words.say("working");
    this.queue = this.queue.then(() => this.worked(act));
  }

  private async worked(act: () => void | Promise<void>): Promise<void> {
    this.typed = NOTHING_TYPED;
    this.fault = null;
    try {
      await painted();
      await act();
      do await painted();
      while (this.desk.step());
      await this.readElection();
    } catch (error) {
      // What is no fault of a file is one of the page or of the browser: it is told, too, and the page goes on.
      this.fault = error instanceof Fault ? error : new Fault("defect", String(error));
    } finally {
      if (--this.pending === 0) this.status.textContent = "";
      this.draw();
    }
    this.lead();
  }

  /** Checks the election in the files that were opened last, once the ceremony is complete. */
  private async readElection(): Promise<void> {
    const { desk, archive, genesis, election } = this;
    if (!desk.isComplete || election.own !== null) return;
    // A fault is told once, then the files are forgotten.
    this.archive = this.genesis = null;
    if (archive !== null) {
      const step = async (votes: number) => {
        this.status.textContent = this.words.say("count.soFar", { votes });
        await painted();
      };
      const count = await readOwnCount(desk.bulletin!, archive, this.roll, step);
      this.election = { own: count, count, share: null };
    } else if (genesis !== null) {
      this.election = { own: readOwnElection(desk.bulletin!, genesis), count: null, share: null };
    }
  }

  /** A share is that of the trustee whose key made it, and of no other name. */
  private dropShare(): void {
    this.election = { ...this.election, share: null };
  }

  private decrypt(): void {
    this.work(() => {
      const { count } = this.election;
      const { key } = this.desk;
      if (count !== null && key !== null) this.election = { ...this.election, share: count.share(key) };
    });
  }

  // -- what the reader sees ------------------------------------------------------------------------

  private draw(): void {
    const { words, desk, root } = this;
    document.documentElement.lang = words.language;
    document.title = words.say("title");
    const main = element(
      "main",
      {},
      element("h1", {}, words.say("title")),
      element("p", {}, words.say("intro")),
      element("p", {}, words.say("private")),
      element("p", {}, words.say("danger")),
      ...this.intake(),
      this.status,
      desk.lacksDraft ? element("p", { class: "wrong", role: "alert" }, words.say("lacksDraft")) : null,
      ...this.faultParts(),
      ...this.bulletinParts(),
    );
    const cards = cardsOf(words, desk, this.typed);
    document.body.className = cards.length > 0 ? "prints" : "";
    root.replaceChildren(element("header", {}, this.languages()), main, ...cards);
  }

  private intake(): HTMLElement[] {
    const files = element("input", { type: "file", multiple: "", id: "files" });
    files.addEventListener("change", () => {
      this.take([...(files.files ?? [])]);
      files.value = "";
    });
    const label = element("label", { for: "files", class: "button" }, this.words.say("choose"));
    return [element("div", { class: "drop" }, label, files, element("p", {}, this.words.say("drop")))];
  }

  private faultParts(): HTMLElement[] {
    if (this.fault === null) return [];
    const made = part(this.words.say("fault.title"), faultView(this.words, this.fault));
    made.className = "bad";
    return [made];
  }

  private bulletinParts(): HTMLElement[] {
    const { words, desk } = this;
    if (desk.bulletin === null) return [];
    const turn = this.fault === null ? turnView(words, desk, this.typed, this.acts) : [];
    return [
      ...bulletinView(words, desk.bulletin),
      ...(desk.isComplete ? [part(words.say("completeTitle"), element("p", {}, words.say("complete")))] : []),
      this.whoPart(desk.bulletin.draft.trustees),
      element("div", { id: "turn" }, ...turn, ...this.electionParts()),
    ];
  }

  private electionParts(): HTMLElement[] {
    const { words, desk, election } = this;
    if (!desk.isComplete || this.fault !== null || desk.place === null) return [];
    return electionView(words, desk, election, this.typed.wrongCard, this.acts);
  }

  private whoPart(names: readonly string[]): HTMLElement {
    const { words, desk } = this;
    const select = element(
      "select",
      { id: "who" },
      element("option", { value: "" }, words.say("choosePlaceholder")),
      ...names.map((name, at) => element("option", { value: `${at + 1}` }, shown(name))),
    );
    select.value = desk.place === null ? "" : `${desk.place}`;
    select.addEventListener("change", () => {
      if (select.value !== "") this.choose(Number(select.value));
    });
    return part(words.say("whoTitle"), element("label", { for: "who" }, words.say("who")), select);
  }

  private languages(): HTMLElement {
    const buttons = LANGUAGES.map((language) => {
      const words = wordsOf(language);
      const pressed = String(language === this.words.language);
      const act = () => {
        this.words = words;
        this.draw();
        this.root.querySelector<HTMLElement>(`button[lang=${language}]`)?.focus();
      };
      return button(words.say("language"), act, { lang: language, "aria-pressed": pressed });
    });
    return element("nav", { "aria-label": this.words.say("languageLabel") }, ...buttons);
  }

  /** Leads the reader to what is next. */
  private lead(): void {
    const wrong = this.root.querySelector<HTMLElement>("[aria-invalid]");
    const target = wrong ?? this.root.querySelector<HTMLElement>(".bad h2, #turn h2") ?? this.root.querySelector("h2");
    (target as HTMLElement | null)?.focus();
  }
}

/** Resolves once the browser had time to draw. */
const painted = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
