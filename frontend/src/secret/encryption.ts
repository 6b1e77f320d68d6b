/** ElGamal encryption of small numbers in the exponent, and what its maker knows of it. */
import { BASE, type Element, IDENTITY } from "./group.ts";

/** What can be added, and made smaller by a number. */
export interface Summand<T> {
  plus(other: T): T;
  less(number: number): T;
}

/** An encryption: alpha = g^r, beta = y^r g^m. */
export class Ciphertext implements Summand<Ciphertext> {
  constructor(
    readonly alpha: Element,
    readonly beta: Element,
  ) {}

  plus(other: Ciphertext): Ciphertext {
    return new Ciphertext(this.alpha.plus(other.alpha), this.beta.plus(other.beta));
  }

  less(number: number): Ciphertext {
    return number === 0 ? this : new Ciphertext(this.alpha, this.beta.minus(BASE.timesPublic(BigInt(number))));
  }

  /** As many times itself. */
  timesPublic(number: number): Ciphertext {
    return new Ciphertext(this.alpha.timesPublic(BigInt(number)), this.beta.timesPublic(BigInt(number)));
  }

  get written(): string {
    return `${this.alpha.written},${this.beta.written}`;
  }

  equals(other: Ciphertext): boolean {
    return this.alpha.equals(other.alpha) && this.beta.equals(other.beta);
  }
}

/** The number and the exponent of an encryption: whoever has them can open it. */
export class Opening implements Summand<Opening> {
  constructor(
    readonly number: number,
    readonly randomness: bigint,
  ) {}

  plus(other: Opening): Opening {
    return new Opening(this.number + other.number, this.randomness + other.randomness);
  }

  less(number: number): Opening {
    return new Opening(this.number - number, this.randomness);
  }

  /** The encryption of its number, which is 0 or 1. */
  encrypted(key: Element): Ciphertext {
    const beta = key.times(this.randomness).plus(this.number === 1 ? BASE : IDENTITY);
    return new Ciphertext(BASE.times(this.randomness), beta);
  }
}
