/** After the ceremony: is this the trustees' own election, and what is decrypted of it. */
import { type Election, definition } from "../lib/definition.ts";
import { readArchive } from "../lib/archive.ts";
import { demand } from "../lib/fault.ts";
import { decodeText, parseJson } from "../lib/json.ts";
import { checkable } from "../lib/secret_rules.ts";
import type { Between } from "../lib/steps.ts";
import type { Bulletin } from "../secret/ceremony/bulletin.ts";
import type { TrusteeSeed } from "../secret/ceremony/key_generation.ts";
import { checkMadeOf, shareOf } from "../secret/ceremony/share.ts";

/** An election that has the keys of the ceremony. */
export interface OwnElection {
  readonly title: string;
  readonly networkId: string;
  /** What the trustees have not agreed on: the organiser chose it alone. */
  readonly voters: number;
  readonly nodes: readonly string[];
  readonly weighted: boolean;
}

const ownElection = ({ definition: made, networkHex }: Election): OwnElection => ({
  title: made.title,
  networkId: networkHex,
  voters: made.roll_size ?? 0,
  nodes: made.nodes.map((one) => one.name),
  weighted: made.weighted,
});

/** A count that can be decrypted: all votes are checked, and their sum is made here. */
export interface OwnCount extends OwnElection {
  readonly votes: number;
  /** The share of the trustee with this seed. */
  share(seed: TrusteeSeed): string;
}

/** The election of a genesis file. `other-election`, `bad-genesis`, and the codes of a definition that is none */
export function readOwnElection(bulletin: Bulletin, raw: Uint8Array): OwnElection {
  const election = checkable(definition(parseJson(decodeText(raw))));
  checkMadeOf(election.definition, bulletin);
  return ownElection(election);
}

/**
 * The count of a final election in its archive.
 *
 * `contradiction` where ballots are public, `roll-missing`, `other-election`, `cancelled`, `not-final`, and the codes of
 * an archive that does not hold
 */
export async function readOwnCount(
  bulletin: Bulletin,
  archive: File,
  roll: Uint8Array | null,
  step: Between,
): Promise<OwnCount> {
  demand(roll !== null, "roll-missing", "the roll of the election has its voters' credentials: open roll.json, too");
  const context = { now: Math.floor(Date.now() / 1000), roll, step };
  const { books, signers } = await readArchive({ blob: archive, name: archive.name }, context);
  const { secret, election, force, closing } = books;
  demand(secret !== null, "contradiction", "the ballots of this election are public: there is nothing to decrypt");
  checkMadeOf(election.definition, bulletin);
  demand(signers.length === 0 || !force.cancelled, "cancelled", "the election was cancelled: nothing is decrypted");
  const isFinal = signers.length > 0 && closing.over;
  demand(isFinal, "not-final", "the result is not final: trustees decrypt nothing before that");
  const { sums, votes } = secret.encrypted;
  return {
    ...ownElection(election),
    votes,
    share: (seed) => shareOf(bulletin, seed, secret.election, sums),
  };
}
