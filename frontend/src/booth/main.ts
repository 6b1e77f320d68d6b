/** Starts the booth on its page: draws it, moves the focus, and follows the browser's back button. */
import { html, nothing, render } from "lit-html";
import { keyed } from "lit-html/directives/keyed.js";
import { API, Api } from "../api/client.ts";
import { StateStream, whileSeen } from "../api/state_stream.ts";
import type { LiveState } from "../api/types.ts";
import { afterView, castingView, readBackTitle, titleOf } from "./after_view.ts";
import { contestView, reviewView } from "./ballot_view.ts";
import style from "./booth.css";
import { Booth } from "./booth.ts";
import { toFault } from "./code_field.ts";
import { codeView, idView, welcomeView } from "./identity_view.ts";
import { Kiosk } from "./kiosk.ts";
import { kioskView } from "./kiosk_view.ts";
import { gateView, lieView, refusedView, troubleView, usedView } from "./message_view.ts";
import { keepFile, takenCode, useStyle } from "./page_parts.ts";
import type { Screen } from "./screen.ts";
import type { BallotWorker } from "./sealing.ts";
import { testedView } from "./secret_view.ts";
import { Store, shelfOf, wipe } from "./store.ts";
import { type Scene, type View, heading } from "./view.ts";
import { Words } from "./words.ts";
import { secretWorker } from "../page/worker.ts";

class Page implements Scene {
  readonly words: Words;
  readonly booth: Booth;
  readonly kiosk: Kiosk | null;
  kept: string | null = null;
  private readonly status = document.createElement("p");
  private readonly stage = document.createElement("div");
  private key = "";
  private announced = "";
  private waiting = false;
  private shownFault: Booth["entry"]["wrong"] = null;
  /** The part of the screen behind a vote that came last. */
  private shownPart = "";
  /** The next person's page is on its way: nothing of this one is drawn any more. */
  private isCleared = false;

  constructor(private readonly root: HTMLElement) {
    this.words = new Words(document.documentElement.lang, root.hasAttribute("data-own-codes"));
    const isKiosk = root.hasAttribute("data-kiosk");
    document.documentElement.classList.toggle("booth-big", isKiosk);
    this.kiosk = isKiosk
      ? new Kiosk(
          () => this.draw(),
          () => this.clear(),
        )
      : null;
    const device = isKiosk ? null : shelfOf(() => localStorage);
    const store = new Store(
      shelfOf(() => sessionStorage),
      device,
    );
    const api = new Api();
    this.booth = new Booth({
      ...{ api, store, draw: () => this.soon(), moved: (screen) => this.moved(screen) },
      worker: () => secretWorker() as BallotWorker,
    });
    this.status.setAttribute("role", "status");
    this.status.className = "visually-hidden";
    root.replaceChildren(this.status, this.stage);
    const heard = (text: string) => {
      const state = JSON.parse(text) as LiveState;
      api.clock.heardSeconds(state.at);
      void this.booth.heard(state);
    };
    whileSeen(() => {
      const stream = new StateStream(API, { heard, silent: (since) => this.booth.setLive(since === null) });
      return () => stream.end();
    });
    this.listen();
    this.kiosk?.start();
  }

  private listen(): void {
    window.addEventListener("popstate", (event) => {
      const screen = (event.state as { screen?: Screen } | null)?.screen;
      if (screen !== undefined) this.booth.go(screen, true);
    });
    // A second card's link in the same tab changes the fragment alone.
    window.addEventListener("hashchange", () => {
      const code = takenCode();
      if (code !== null && this.booth.isLoaded) void this.booth.scan(code);
    });
    window.addEventListener("storage", (event) => {
      const key = event.key?.split("/").at(-1);
      if (event.key?.startsWith("votenet/vote/") && event.newValue) this.booth.castElsewhere(key!, event.newValue);
    });
  }

  keepFile(name: string, text: string): void {
    keepFile(name, text, "application/json");
    this.kept = name;
    this.status.textContent = this.words.say("receipt.kept", { file: name });
    this.draw();
  }

  /** Draws once for all changes of a moment. */
  private soon(): void {
    if (this.waiting) return;
    this.waiting = true;
    queueMicrotask(() => {
      this.waiting = false;
      this.draw();
    });
  }

  private draw(): void {
    if (this.isCleared) return;
    const { booth, words } = this;
    const { screen } = booth;
    // A vote without one signature is still on its way.
    const isDone = screen.kind !== "after" || booth.isDone;
    this.kiosk?.shown(booth.isLoaded && booth.isUnsigned ? { kind: "casting" } : screen, booth.isBegun, isDone);
    const key = screen.kind === "contest" ? `contest ${screen.index}` : screen.kind;
    const isNew = key !== this.key;
    if (isNew) this.kept = null; // of the voter before
    const isFirst = this.key === "" || this.key === "loading";
    this.key = key;
    render(html`${this.banner()} ${kioskView(this)} ${keyed(key, this.view(screen))}`, this.stage);
    this.root.dataset["step"] = booth.step;
    const title = this.root.querySelector<HTMLElement>("h1");
    const text = textOf(title);
    if (isNew) {
      window.scrollTo(0, 0);
      if (!isFirst) title?.focus({ preventScroll: true });
    }
    document.title = `${text} – ${words.say(screen.kind === "after" ? "after.page" : "page")}`;
    this.announce(isNew);
    this.toFault();
    this.toPart(isNew);
  }

  /** Moves the focus to what stands now where a button was pressed: the button is gone. */
  private toPart(isNew: boolean): void {
    const outcome = this.booth.screen.kind === "after" ? this.booth.outcome : null;
    const part = outcome?.answer != null ? "answered" : outcome?.readBack != null || outcome?.unread ? "read-back" : "";
    const isLost = document.activeElement === document.body;
    if (part !== this.shownPart && part !== "" && !isNew && isLost) document.getElementById(part)?.focus();
    this.shownPart = part;
  }

  /** Moves the focus to a code that is not right, with its wrong group marked. */
  private toFault(): void {
    const { wrong } = this.booth.entry;
    if (wrong === this.shownFault) return;
    this.shownFault = wrong;
    const input = this.root.querySelector<HTMLInputElement>("#code");
    if (wrong === null || input === null) return;
    toFault(input, wrong);
  }

  private announce(isNew: boolean): void {
    const { booth, words } = this;
    const { outcome, notice } = booth;
    const all = booth.isLoaded ? booth.election.definition.nodes.length : 0;
    let text = notice === null ? "" : words.say(notice.name, notice.places);
    if (booth.screen.kind === "after" && outcome !== null) {
      const by = outcome.final?.signedBy ?? outcome.received?.by ?? [];
      const signed = outcome.final === null ? "after.received" : "after.final";
      text = `${words.say(titleOf(booth))}. ${by.length > 0 ? words.say(signed, { n: by.length, all }) : ""}`;
      if (outcome.readBack !== null) text += ` ${words.say(readBackTitle(booth))}`;
      if (outcome.unread === "no-answer") text += ` ${words.say("after.unreadTitle")}`;
    }
    const countdown = this.kiosk?.countdown;
    const left = countdown ? words.say(this.kiosk!.sentence, { n: countdown.from }) : "";
    if (countdown?.why === "after") text += ` ${left}`;
    if (countdown?.why === "idle") text = left;
    if (booth.spoken !== null) text = words.say(booth.spoken.name, booth.spoken.places);
    if (text === this.announced && !isNew) return;
    this.announced = text;
    this.status.textContent = text;
  }

  private banner(): View | typeof nothing {
    const { booth, words } = this;
    const { closes } = booth;
    const lines = [];
    if (!booth.isLive && booth.screen.kind !== "unreachable") lines.push(words.say("notLive"));
    if (booth.hoursChanged && closes !== null && ["identity", "contest", "review"].includes(booth.step)) {
      lines.push(words.say("hoursChanged", { time: words.time(closes, booth.election.definition.time_zone) }));
    }
    return lines.length === 0
      ? nothing
      : html`<div class="booth-banner" role="status">${lines.map((line) => html`<p>${line}</p>`)}</div>`;
  }

  private view(screen: Screen): View {
    switch (screen.kind) {
      case "loading":
        return heading(this.words.say("loading"));
      case "code":
        return codeView(this);
      case "id":
        return idView(this);
      case "welcome":
        return welcomeView(this);
      case "contest":
        return contestView(this, screen.index);
      case "review":
        return reviewView(this);
      case "tested":
        return testedView(this, screen);
      case "casting":
        return castingView(this);
      case "after":
        return afterView(this);
      case "used":
        return usedView(this, screen);
      case "before":
      case "closed":
      case "cancelled":
        return gateView(this, screen);
      case "refused":
        return refusedView(this, screen);
      case "lie":
        return lieView(this, screen);
      default:
        return troubleView(this, screen.kind);
    }
  }

  /** Forgets everything, shows nothing, and begins again: the page that comes may be slow. */
  private clear(): void {
    this.isCleared = true;
    this.root.replaceChildren();
    document.title = this.words.say("page");
    // A vote that is followed would be kept again.
    if (this.booth.isLoaded) this.booth.startAgain();
    wipe();
    document.cookie = "lang=; max-age=0; path=/; samesite=lax";
    location.replace(location.pathname);
  }

  private moved(screen: Screen): void {
    const isStep = ["code", "id", "welcome", "contest", "review"].includes(screen.kind);
    const before = (history.state as { screen?: Screen } | null)?.screen;
    const state = { screen: isStep ? screen : { kind: "casting" } };
    // The first screen, and those behind the casting, take the place of the one before.
    if (!isStep || before === undefined || before.kind === "casting") history.replaceState(state, "");
    else if (JSON.stringify(before) !== JSON.stringify(screen)) history.pushState(state, "");
  }
}

/** The text of a heading as it is read out. */
function textOf(title: HTMLElement | null): string {
  const nodes = [...(title?.childNodes ?? [])].filter(
    (node) => node.nodeType !== Node.COMMENT_NODE && (node as HTMLElement).ariaHidden !== "true",
  );
  return nodes
    .map((node) => node.textContent)
    .join(" ")
    .replace(/\s+/g, " ")
    .trim();
}

const code = takenCode();
useStyle(style);
const root = document.getElementById("booth");
if (root !== null) void new Page(root).booth.start(code);
