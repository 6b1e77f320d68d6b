/** Enrolment: a member's own voting code, made in the browser; only its public key is sent. */
import { retryOf } from "../api/again.ts";
import { type Api, NoAnswer, Refused } from "../api/client.ts";
import { secondsBehind } from "../api/pauses.ts";
import { typedGroup } from "../booth/identity.ts";
import { Pause } from "../booth/pause.ts";
import { toHex } from "../lib/bytes.ts";
import { publicKey } from "../lib/keys.ts";
import { codeOf, groupsOf, readCode, seedOfCode } from "../lib/voting_code.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const RANDOM_CHARACTERS = 21;

export type EnrolScreen =
  | { kind: "invitation"; wrong: { typed: string; group: number; text: string; length: number } | null }
  /** The code is to be kept before its key is sent. */
  | { kind: "keep"; code: string }
  | { kind: "sending"; code: string; seconds: number | null }
  | { kind: "done"; voterId: string }
  | { kind: "refused"; code: string };

/** What a reload brings back: the code, until its key is registered. */
export interface Kept {
  get(): string | null;
  put(text: string): void;
  drop(): void;
}

/** A voting code out of 105 random bits, without hyphens. */
export function newCode(random: Uint8Array = crypto.getRandomValues(new Uint8Array(RANDOM_CHARACTERS))): string {
  return codeOf(Array.from(random, (byte) => ALPHABET[byte % ALPHABET.length]).join(""));
}

export const shownCode = (code: string): string => groupsOf(code).join("-");

export class Enrolment {
  screen: EnrolScreen = { kind: "invitation", wrong: null };
  private invitation = "";
  /** Counts the invitations: what is under way for one stops when another begins. */
  private turn = 0;

  constructor(
    private readonly api: Pick<Api, "enrol">,
    private readonly uuid: string,
    private readonly kept: Kept,
    private readonly draw: () => void,
    private readonly pause = new Pause(),
  ) {}

  /** Begins, or goes on behind a reload. `invitation`: the fragment of the invitation's link. */
  start(invitation: string | null): void {
    const [held, code] = this.kept.get()?.split(" ") ?? [];
    const read = invitation === null ? null : readCode(invitation);
    if (held !== undefined && code !== undefined && (read === null || (read.ok && read.code === held))) {
      if (this.screen.kind === "sending" && this.invitation === held) return;
      this.begin(held);
      return this.show({ kind: "keep", code });
    }
    if (invitation !== null) return this.type(invitation);
    this.draw();
  }

  /** Takes an invitation code, and makes the member's own code. */
  type(typed: string): void {
    const read = readCode(typed);
    this.begin(read.ok ? read.code : "");
    if (!read.ok) {
      const text = read.group === 0 ? "" : typedGroup(typed, read.group);
      return this.show({ kind: "invitation", wrong: { typed, group: read.group, text, length: read.length } });
    }
    const code = newCode();
    this.kept.put(`${read.code} ${code}`);
    this.show({ kind: "keep", code });
  }

  /** Sends the public key until the server has it, or refuses it, or another invitation begins. */
  async send(): Promise<void> {
    if (this.screen.kind !== "keep") return;
    const { code } = this.screen;
    const { turn } = this;
    const request = { invitation: this.invitation, public_key: toHex(publicKey(seedOfCode(code, this.uuid))) };
    for (let tries = 1; ; tries++) {
      this.show({ kind: "sending", code, seconds: null });
      try {
        const { voter_id: voterId } = await this.api.enrol(request);
        if (this.turn !== turn) return;
        this.kept.drop();
        return this.show({ kind: "done", voterId });
      } catch (error) {
        if (this.turn !== turn) return;
        const isAway = error instanceof NoAnswer || (error instanceof Refused && isTemporary(error));
        if (error instanceof Refused && !isAway) {
          this.kept.drop();
          return this.show({ kind: "refused", code: error.code });
        }
        if (!isAway) throw error;
        const seconds = secondsBehind(tries, retryOf(error));
        this.show({ kind: "sending", code, seconds });
        await this.pause.wait(seconds * 1000);
        if (this.turn !== turn) return;
      }
    }
  }

  /** Forgets the invitation and its code, for a refused one or another person. */
  again(): void {
    this.begin("");
    this.kept.drop();
    this.show({ kind: "invitation", wrong: null });
  }

  private begin(invitation: string): void {
    this.invitation = invitation;
    this.turn++;
    this.pause.hurry();
  }

  private show(screen: EnrolScreen): void {
    this.screen = screen;
    this.draw();
  }
}

const isTemporary = (refusal: Refused): boolean =>
  refusal.status >= 500 || refusal.status === 429 || refusal.status === 408;
