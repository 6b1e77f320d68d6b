/** A device that many voters use in turn: it goes back to the start, and forgets. */
import type { Screen } from "./screen.ts";

const AFTER_SECONDS = 20;
/** Behind a vote that is received: the receipt code and the vote read back come only when it is final. */
const RECEIVED_SECONDS = 120;
const IDLE_SECONDS = 120;
const WARNING_SECONDS = 30;
/** A page that is cleared may be slow to come; asked for each second, it would never come. */
const AGAIN_SECONDS = 30;

/** What the kiosk counts down: the screen after a vote, or what was left alone: a ballot, or a screen that stays. */
export interface Countdown {
  why: "after" | "idle";
  seconds: number;
  /** Seconds at its beginning. */
  from: number;
}

const countdown = (why: Countdown["why"], from: number): Countdown => ({ why, seconds: from, from });

export class Kiosk {
  countdown: Countdown | null = null;
  /** The voter has stopped the countdown behind the vote: the screen stays until it is left alone. */
  stays = false;
  /** The screen stays until the button is pressed: the organisers shall see it. */
  isHeld = false;
  private idle = 0;
  /** Seconds since the screen was cleared; null before. */
  private sinceCleared: number | null = null;
  /** A countdown has ended, and is still drawn. */
  private isStale = false;
  private isAfter = false;
  private isDone = false;
  /** There is something of a voter to clear. */
  private isBegun = false;
  private hasTyped = false;
  private isCasting = false;

  constructor(
    private readonly draw: () => void,
    private readonly askClear: () => void,
  ) {}

  start(): void {
    setInterval(() => this.tick(), 1000);
    for (const name of ["pointerdown", "keydown"]) document.addEventListener(name, () => this.touched());
    document.addEventListener("input", () => this.typed());
  }

  /**
   * Takes the screen that is shown now, and whether something of a voter is there. `isDone`: nothing more comes on
   * it; while a vote is received and not final, it stays longer, and the countdown begins again when that changes.
   */
  shown(screen: Screen, isBegun: boolean, isDone = true): void {
    const isAfter = ["after", "used", "refused", "lie"].includes(screen.kind);
    if (!isAfter && screen.kind !== "casting") this.stays = this.isHeld = false; // another voter's
    if (isAfter && !this.stays && (!this.isAfter || isDone !== this.isDone)) {
      this.countdown = countdown("after", isDone ? AFTER_SECONDS : RECEIVED_SECONDS);
    }
    if (screen.kind === "casting" || (!isAfter && this.countdown?.why === "after")) this.countdown = null;
    this.isAfter = isAfter;
    this.isDone = isDone;
    this.isBegun = isBegun;
    this.isCasting = screen.kind === "casting";
  }

  /** Takes that something was typed, a code that is not accepted yet too. */
  typed(): void {
    this.hasTyped = true;
    this.touched();
  }

  stay(): void {
    this.stays = true;
    this.countdown = null;
    this.draw();
  }

  /** Stays until the button is pressed, however long that is. */
  hold(): void {
    this.isHeld = true;
    this.stay();
  }

  leave(): void {
    this.clear();
  }

  /** The sentence of the countdown. */
  get sentence(): "kiosk.countdown" | "kiosk.idle" {
    return this.isAfter ? "kiosk.countdown" : "kiosk.idle";
  }

  tick(): void {
    if (this.sinceCleared !== null) return this.clearAgain();
    if (this.countdown === null) this.wait();
    else if (this.countdown.seconds > 1) this.countdown = { ...this.countdown, seconds: this.countdown.seconds - 1 };
    else return this.clear();
    if (this.countdown !== null || this.isStale) this.draw();
    this.isStale = false;
  }

  private clear(): void {
    this.sinceCleared = 0;
    this.askClear();
  }

  /** The page may not have come: the server was away. */
  private clearAgain(): void {
    this.sinceCleared!++;
    if (this.sinceCleared === AGAIN_SECONDS) this.clear();
  }

  private wait(): void {
    // A vote on its way is never given up.
    const canClear = (this.isBegun || this.hasTyped) && !this.isHeld && !this.isCasting;
    this.idle = canClear ? this.idle + 1 : 0;
    if (this.idle >= IDLE_SECONDS) this.countdown = countdown("idle", WARNING_SECONDS);
  }

  private touched(): void {
    this.idle = 0;
    if (this.countdown?.why !== "idle") return;
    this.countdown = null;
    // Drawn at once, the button that clears could come under the finger that says "I am still here".
    if (this.isAfter) this.isStale = true;
    else this.draw();
  }
}
