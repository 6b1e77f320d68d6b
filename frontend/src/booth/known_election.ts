/** The election as this device has checked it: its description, and the changes that its authority has signed. */
import { answered } from "../api/again.ts";
import type { Api } from "../api/client.ts";
import type { ElectionAnswer, ElectionState, LiveState } from "../api/types.ts";
import { InForce, amendments } from "../lib/amendment.ts";
import { Election, definition, isSecret } from "../lib/definition.ts";
import { Fault } from "../lib/fault.ts";
import { Contradiction } from "./proof.ts";
import type { Screen } from "./screen.ts";

interface Known {
  election: Election;
  force: InForce;
}

export class KnownElection {
  /** The closing time has moved since the page was opened. */
  hoursChanged = false;
  private known: Known | null = null;
  /** The server's word. */
  private said: { state: ElectionState; final_height: number } | null = null;

  constructor(private readonly api: Pick<Api, "election">) {}

  get isLoaded(): boolean {
    return this.known !== null;
  }

  get election(): Election {
    return this.known!.election;
  }

  get force(): InForce {
    return this.known!.force;
  }

  get isSecret(): boolean {
    return this.known !== null && isSecret(this.election.definition);
  }

  get closes(): number | null {
    return this.known?.force.closes ?? null;
  }

  /** Asks what is in force. Throws `Contradiction`, and where no answer comes. */
  async ask(): Promise<void> {
    const answer = await this.api.election();
    const known = described(answer, this.known);
    this.hoursChanged ||= this.known !== null && known.force.closes !== this.closes;
    this.known = known;
    this.said ??= { state: answer.state, final_height: 0 };
  }

  /** Asks what is in force now; false where no answer comes. Throws `Contradiction`. */
  async refresh(): Promise<boolean> {
    return (await answered(() => this.ask().then(() => true))) ?? false;
  }

  /** Takes the server's word; returns whether hours or state are others now, and whether more is final. */
  heard(state: LiveState): { isChanged: boolean; isFurther: boolean } {
    const before = this.said;
    this.said = state;
    return {
      isChanged: before?.state !== state.state || state.closes !== this.closes,
      isFurther: before?.final_height !== state.final_height,
    };
  }

  /** Whether the election was cancelled, and whose word that is: the authority's signature, or the server. */
  get cancelled(): "proven" | "told" | null {
    if (this.known?.force.cancelled === true) return "proven";
    return this.said?.state === "cancelled" ? "told" : null;
  }

  /** The screen that stands where nobody can vote now. */
  get gate(): Screen | null {
    const { cancelled } = this;
    if (cancelled !== null) return { kind: "cancelled", proven: cancelled === "proven" };
    const state = this.said?.state;
    if (state === "closed" || state === "final") return { kind: "closed" };
    return state === "before" ? { kind: state } : null;
  }
}

/** The election that the server describes; `before`: as it was described before. Throws `Contradiction`. */
function described(answer: ElectionAnswer, before: Known | null): Known {
  try {
    const election = before?.election ?? new Election(definition(answer.definition));
    if (election.networkHex !== answer.network_id) throw new Contradiction("network", election.networkHex);
    const force = new InForce(election).amended(amendments(answer.amendments), null);
    // A signed change stays: a node that is behind shows fewer.
    return before !== null && force.records.length < before.force.records.length ? before : { election, force };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Contradiction(error.code === "bad-genesis" ? "network" : "change", error.code);
  }
}
