/** Who votes here: from a code, or a voter id, that is typed to a voter. */
import { isTrouble } from "../api/again.ts";
import type { Api } from "../api/client.ts";
import type { Election } from "../lib/definition.ts";
import { faultOfId, voterOfCode, voterOfId, voterOfSeed } from "./identity.ts";
import type { Screen, Voter } from "./screen.ts";
import type { Store } from "./store.ts";
import type { Places, SentenceName } from "./words.ts";

interface Means {
  api: Pick<Api, "voter">;
  store: Store;
  election(): Election;
  say(name: SentenceName, places?: Places): void;
  show(screen: Screen): void;
  draw(): void;
  /** `voted`: the server says that this voter has voted. */
  identified(voter: Voter, voted: boolean): Promise<void>;
}

export class Identification {
  isChecking = false;
  /** The code that was not right, as it was typed, and its wrong group. */
  wrong: { typed: string; group: number } | null = null;
  /** Of a code whose voter the server does not know. */
  private found: { seed: string; code: string } | null = null;

  constructor(private readonly means: Means) {}

  /** Whether a code was typed that may be right. */
  get isBegun(): boolean {
    return this.found !== null || this.wrong !== null;
  }

  forget(): void {
    this.wrong = null;
    this.found = null;
  }

  async tryCode(typed: string): Promise<void> {
    if (this.isChecking) return;
    this.isChecking = true;
    this.wrong = null;
    this.means.show({ kind: "code" });
    this.means.say("identity.checking");
    try {
      await this.checkCode(typed);
    } catch (error) {
      if (!isTrouble(error)) throw error;
      this.wrong = { typed, group: 0 }; // of a card's link the field is the only place that still has it
      this.means.say("identity.noAnswer");
    } finally {
      this.isChecking = false;
      this.means.draw();
    }
  }

  private async checkCode(typed: string): Promise<void> {
    const { api, election, say } = this.means;
    const found = await voterOfCode(typed, election(), api);
    if (found.ok && found.voter === null) {
      this.found = found;
      return this.means.show({ kind: "id" });
    }
    if (found.ok) return this.means.identified(found.voter, found.voted);
    this.wrong = { typed, group: found.fault === "group" ? found.group : 0 };
    if (found.fault === "length") say("identity.codeLength", { n: found.length });
    else if (found.fault === "group") say("identity.codeGroup", { group: found.group, text: found.text });
    else say("identity.codeUnknown");
  }

  async tryId(typed: string): Promise<void> {
    const { election, store } = this.means;
    const id = typed.trim().normalize("NFC");
    const fault = faultOfId(id);
    if (fault !== null) return this.means.say(`identity.${fault}`);
    const { found } = this;
    const voter = found === null ? voterOfId(id, election(), store) : voterOfSeed(id, found.seed, found.code);
    await this.means.identified(voter, false);
  }
}
