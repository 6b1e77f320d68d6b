/** Entropy and elections for the tests of secret ballots. */
import * as votenet from "../src/lib/index.ts";
import type { Entropy } from "../src/secret/group.ts";

/** Bytes that follow from a seed, here and in Python: SHA-256 of the seed and a counter. */
export function streamOf(seed: string): Entropy {
  let counter = 0;
  return (count) => {
    const made = new Uint8Array(32 * Math.ceil(count / 32));
    for (let at = 0; at < made.length; at += 32) made.set(votenet.sha256(votenet.utf8(`${seed}|${counter++}`)), at);
    return made.subarray(0, count);
  };
}

/** A stream of numbers from 0 to below `most`, out of a seed. */
export function diceOf(seed: string): (most: number) => number {
  const stream = streamOf(seed);
  return (most) => Number(votenet.bigEndian(stream(8)) % BigInt(most));
}
