/** The test tally that every trustee decrypts once before the election: its randomness is public. */
import { demand } from "../../lib/fault.ts";
import { type SecretElection, readElection } from "../election.ts";
import { Ciphertext } from "../encryption.ts";
import { BASE, type Element, hashToScalar } from "../group.ts";
import type { EncryptedSums } from "../tally.ts";
import type { Draft } from "./draft.ts";
import { type PartialDecryption, checkDecryption } from "./partial_decryption.ts";
import { GROUP_NAME } from "./trustees.ts";

/** What the test tally comes to. */
const TEST_COUNTS = [2n, 0n, 1n];

export interface Rehearsal {
  readonly election: SecretElection;
  readonly tally: EncryptedSums;
  readonly exponents: readonly bigint[];
}

/** The rehearsal of an election with this public key. */
export function rehearsalOf(draft: Draft, key: Element): Rehearsal {
  const election = readElection(
    JSON.stringify({
      version: 1,
      description: `votenet/rehearsal/1 ${draft.digest}`,
      name: "Rehearsal",
      group: GROUP_NAME,
      public_key: key.written,
      questions: [{ answers: ["1", "2", "3"], min: 1, max: 1, question: "Rehearsal" }],
      uuid: draft.uuid,
    }),
  );
  const exponents = TEST_COUNTS.map((_, number) => hashToScalar(`rehearsal|${election.fingerprint}|${number}`));
  const row = TEST_COUNTS.map((count, at) => {
    const exponent = exponents[at]!;
    return new Ciphertext(BASE.times(exponent), key.times(exponent).plus(BASE.times(count)));
  });
  return { election, tally: [row], exponents };
}

/** Whether the holder of this key decrypted the test tally, every factor the right one. `bad-decryption` */
export function checkRehearsal(rehearsal: Rehearsal, key: Element, decryption: PartialDecryption): void {
  checkDecryption(rehearsal.election, rehearsal.tally, key, decryption);
  const [row] = decryption.decryption_factors;
  const isRight = rehearsal.exponents.every((exponent, at) => row![at]!.equals(key.timesPublic(exponent)));
  demand(isRight, "bad-decryption", "the test tally was decrypted with another key");
}
