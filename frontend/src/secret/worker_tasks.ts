/** What the worker of secret ballots does with each message of its page. */
import { Election, definition, isSecret } from "../lib/definition.ts";
import { Fault, demand } from "../lib/fault.ts";
import type { Json } from "../lib/json.ts";
import { secretContradiction } from "../lib/secret_rules.ts";
import { checkBallot } from "./ballot.ts";
import { credentialOfCode, publicCredential, secretExponent } from "./credential.ts";
import { numbersOf, readElection } from "./election.ts";
import type { Entropy } from "./group.ts";
import { makeBallot } from "./making.ts";
import { testedFile } from "./tested_ballot.ts";

/** What a page asks for. Its secret is transferred, so that the page keeps no copy, and overwritten here. */
export type WorkerQuestion =
  | {
      kind: "make";
      /** The definition of the election. Its network id comes with the ballot. */
      definition: Json;
      /** The chosen names of each contest. */
      choices: string[][];
      /** In ASCII: the 26 characters of a voting code, or a credential. */
      secret: { code: Uint8Array } | { credential: Uint8Array };
    }
  /** Test the ballot instead of casting it. It is opened once. */
  | { kind: "open" };

export type WorkerAnswer =
  | { kind: "progress"; done: number; all: number }
  | { kind: "ballot"; ballot: string; credential: string; network: string }
  /** The tested ballot with what opens it, as the file that another device opens. */
  | { kind: "tested"; file: string }
  | { kind: "fault"; code: string; where: string };

type Secret = (WorkerQuestion & { kind: "make" })["secret"];

function exponentOf(secret: Secret, uuid: string): bigint {
  if ("credential" in secret) return secretExponent(secret.credential, uuid);
  const credential = credentialOfCode(secret.code, uuid);
  try {
    return secretExponent(credential, uuid);
  } finally {
    credential.fill(0);
  }
}

/** A function that answers the questions of one page. */
export function workerTasks(entropy: Entropy, answer: (one: WorkerAnswer) => void): (asked: WorkerQuestion) => void {
  let tested: string | null = null;

  function make(asked: WorkerQuestion & { kind: "make" }): void {
    tested = null;
    const { definition: defined, networkHex: network } = new Election(definition(asked.definition));
    // Whoever has a key that is not the trustees' could read every vote.
    const fault = isSecret(defined) ? secretContradiction(defined) : "its ballots are public";
    demand(fault === "", "bad-genesis", fault);
    const election = readElection(defined.belenios);
    const exponent = exponentOf(asked.secret, election.uuid);
    const choices = numbersOf(election, asked.choices);
    const told = (done: number, all: number) => answer({ kind: "progress", done, all });
    const made = makeBallot(election, exponent, choices, entropy, told);
    const credential = publicCredential(exponent).written;
    // It was made from its secrets alone: the nodes' check of what came out finds what went wrong.
    checkBallot(election, made.text, (written) => written === credential);
    tested = testedFile(defined, made.text, made.opening);
    answer({ kind: "ballot", ballot: made.text, credential, network });
  }

  function open(): void {
    if (tested === null) throw new Fault("bad-choices", "there is no ballot to open");
    answer({ kind: "tested", file: tested });
    tested = null;
  }

  return (asked) => {
    try {
      if (asked.kind === "make") make(asked);
      else open();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      answer({ kind: "fault", code: error.code, where: error.where });
    } finally {
      if (asked.kind === "make") for (const raw of Object.values(asked.secret)) (raw as Uint8Array).fill(0);
    }
  };
}
