/** A device that many voters use in turn: it goes back to the start, and forgets. */
import type { Screen } from "./screen.ts";

export const AFTER_SECONDS = 20;
const IDLE_SECONDS = 120;
export const WARNING_SECONDS = 30;

/** What the kiosk counts down: the screen after a vote, or a ballot that was left alone. */
export interface Countdown {
  why: "after" | "idle";
  seconds: number;
}

export class Kiosk {
  countdown: Countdown | null = null;
  /** The voter has stopped the countdown behind the vote. */
  stays = false;
  private idle = 0;
  private isAfter = false;
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

  /** Takes the screen that is shown now, and whether something of a voter is there. */
  shown(screen: Screen, isBegun: boolean): void {
    const isAfter = ["after", "used", "refused", "lie"].includes(screen.kind);
    if (isAfter && !this.isAfter) this.countdown = { why: "after", seconds: AFTER_SECONDS };
    if (!isAfter && this.countdown?.why === "after") this.countdown = null;
    this.isAfter = isAfter;
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
    if (this.idle >= IDLE_SECONDS) this.countdown = { why: "idle", seconds: WARNING_SECONDS };
  }

  private touched(): void {
    this.idle = 0;
    if (this.countdown?.why !== "idle") return;
    this.countdown = null;
    this.draw();
  }
}
