/** The count of a secret election: the sum of all ballots under encryption, and the numbers that it encrypts. */
import { Fault } from "../lib/fault.ts";
import type { Steps } from "../lib/steps.ts";
import type { Ballot } from "./ballot.ts";
import { type SecretElection, lengthOf } from "./election.ts";
import { Ciphertext } from "./encryption.ts";
import { BASE, type Element, IDENTITY, affineX } from "./group.ts";
import { interpolated } from "./interpolation.ts";

/** The sum of each choice, by contest. */
export type EncryptedSums = readonly (readonly Ciphertext[])[];

/** The decryption factors of a trustee, by contest and choice. */
export type Factors = readonly (readonly Element[])[];

export class SecretTally {
  private readonly rows: Ciphertext[][];
  votes = 0;
  weight = 0;

  constructor({ questions }: SecretElection) {
    this.rows = questions.map((one) => Array<Ciphertext>(lengthOf(one)).fill(new Ciphertext(IDENTITY, IDENTITY)));
  }

  get sums(): EncryptedSums {
    return this.rows;
  }

  /** Adds a checked ballot of this election. */
  add({ answers }: Ballot, weight: number): void {
    for (const [index, { choices }] of answers.entries()) {
      const row = this.rows[index]!;
      for (const [at, one] of choices.entries()) row[at] = row[at]!.plus(weight === 1 ? one : one.timesPublic(weight));
    }
    this.votes++;
    this.weight += weight;
  }

  /** The numbers in the sums, from the checked factors of enough trustees by their places. `bad-result` */
  *opened(factors: ReadonlyMap<number, Factors>, threshold: number): Steps<number[][]> {
    const places = [...factors.keys()].sort((one, other) => one - other).slice(0, threshold);
    const powers: Element[][] = [];
    for (const [index, row] of this.rows.entries()) {
      const opened: Element[] = [];
      for (const [at, { beta }] of row.entries()) {
        const parts = places.map((place) => factors.get(place)![index]![at]!);
        opened.push(beta.minus(interpolated(places, parts, 0)));
        yield;
      }
      powers.push(opened);
    }
    const numbers = yield* logarithms(powers.flat(), this.weight);
    return powers.map((row) => numbers.splice(0, row.length));
  }
}

/** The most powers that are kept in a table. */
const MOST_KEPT = 2 ** 20;
/** So many powers are brought into one form together, which takes one inversion. */
const AT_ONCE = 256;

/** The exponents of these powers of g, each from 0 to `most`: baby steps, then giant ones. `bad-result` */
function* logarithms(powers: readonly Element[], most: number): Steps<number[]> {
  const size = Math.min(MOST_KEPT, Math.ceil(Math.sqrt((most + 1) * powers.length)));
  const small = new Map<bigint, number>();
  yield* walk(IDENTITY, BASE, size, (x, exponent) => {
    small.set(x, exponent);
    return false;
  });
  const giant = BASE.timesPublic(BigInt(-size));
  const found: number[] = [];
  for (const power of powers) {
    const before = found.length;
    yield* walk(power, giant, Math.floor(most / size) + 1, (x, count) => {
      const rest = small.get(x);
      if (rest === undefined) return false;
      found.push(count * size + rest);
      return true;
    });
    const isSmall = found.length > before && found[before]! <= most;
    if (!isSmall) throw new Fault("bad-result", "a sum is larger than the weight of all votes");
  }
  return found;
}

/** Shows `take` the elements first, first + step, first + 2 step and so on, `count` of them or until it says true. */
function* walk(
  first: Element,
  step: Element,
  count: number,
  take: (x: bigint, number: number) => boolean,
): Steps<void> {
  let next = first;
  for (let number = 0; number < count;) {
    const some: Element[] = [];
    while (some.length < AT_ONCE && number + some.length < count) {
      some.push(next);
      next = next.plus(step);
    }
    for (const x of affineX(some)) if (take(x, number++)) return;
    yield;
  }
}
