/** Values of the polynomial in the exponent on which the keys of trustees lie, and so their decryption factors. */
import { type Element, IDENTITY, inverse } from "./group.ts";

/** The value at `at` of the polynomial through elements at these places, one for each, all different. */
export function interpolated(places: readonly number[], elements: readonly Element[], at: number): Element {
  return places.reduce(
    (sum, place, index) => sum.plus(elements[index]!.timesPublic(weight(places, place, at))),
    IDENTITY,
  );
}

/** How much of the element at `place` there is in the value at `at` (Lagrange). */
function weight(places: readonly number[], place: number, at: number): bigint {
  const others = places.filter((other) => other !== place);
  const product = (from: number) => others.reduce((all, other) => all * BigInt(from - other), 1n);
  return product(at) * inverse(product(place));
}
