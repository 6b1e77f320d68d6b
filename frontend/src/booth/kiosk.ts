/** A device that many voters use in turn: it goes back to the start, and forgets. */
import type { Screen } from "./screen.ts";

const AFTER_SECONDS = 20;
/** Behind a vote that is received: the receipt code and the vote read back come only when it is final. */
const RECEIVED_SECONDS = 120;
const IDLE_SECONDS = 120;
const WARNING_SECONDS = 30;

/** What the kiosk counts down: the screen after a vote, or a ballot that was left alone. */
export interface Countdown {
  why: "after" | "idle";
  seconds: number;
  /** Seconds at its beginning. */
  from: number;
}

const countdown = (why: Countdown["why"], from: number): Countdown => ({ why, seconds: from, from });

export class Kiosk {
  countdown: Countdown | null = null;
  /** The voter has stopped the countdown behind the vote. */
  stays = false;
  private idle = 0;
  private isAfter = false;
  private isDone = false;
  /** There is something of a voter to clear. */
  private isBegun = false;
  private hasTyped = false;
  private isCasting = false;

  constructor(
    private readonly draw: () => void,
    private readonly clear: () => void,
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
    if (isAfter && !this.stays && (!this.isAfter || isDone !== this.isDone)) {
      this.countdown = countdown("after", isDone ? AFTER_SECONDS : RECEIVED_SECONDS);
    }
    if (!isAfter && this.countdown?.why === "after") this.countdown = null;
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

  leave(): void {
    this.clear();
  }

  tick(): void {
    if (this.countdown === null) this.wait();
    else if (this.countdown.seconds > 1) this.countdown = { ...this.countdown, seconds: this.countdown.seconds - 1 };
    else return this.clear();
    if (this.countdown !== null) this.draw();
  }

  private wait(): void {
    // A vote on its way is never given up.
    const canClear = (this.isBegun || this.hasTyped) && !this.isAfter && !this.isCasting;
    this.idle = canClear ? this.idle + 1 : 0;
    if (this.idle >= IDLE_SECONDS) this.countdown = countdown("idle", WARNING_SECONDS);
  }

  private touched(): void {
    this.idle = 0;
    if (this.countdown?.why !== "idle") return;
    this.countdown = null;
    this.draw();
  }
}
