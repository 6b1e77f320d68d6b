/** Merkle trees of RFC 6962 and RFC 9162. */
import { sha256 } from "./hash.ts";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export const leafHash = (record: Uint8Array): Uint8Array => sha256(LEAF, record);
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(NODE, left, right);

/** The root over leaf hashes (RFC 6962, section 2.1). */
export function treeRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const log = new Log();
  for (const leaf of leaves) log.add(leaf);
  return log.root();
}

/** The root that a path leads to from a leaf (RFC 9162, section 2.1.3.2); null if the path cannot fit. */
export function pathRoot(
  leaf: Uint8Array,
  index: bigint,
  size: bigint,
  path: readonly Uint8Array[],
): Uint8Array | null {
  if (index >= size) return null;
  let [place, last, root] = [index, size - 1n, leaf];
  for (const sibling of path) {
    if (last === 0n) return null;
    if ((place & 1n) === 1n || place === last) {
      root = nodeHash(sibling, root);
      while ((place & 1n) === 0n && place !== 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      root = nodeHash(root, sibling);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  return last === 0n ? root : null;
}

/** A growing tree. It keeps the roots of the complete subtrees alone, the largest first. */
export class Log {
  size = 0;
  private readonly roots: Uint8Array[] = [];

  add(leaf: Uint8Array): void {
    this.roots.push(leaf);
    this.size++;
    for (let grown = this.size; grown % 2 === 0; grown /= 2) {
      const right = this.roots.pop()!;
      this.roots.push(nodeHash(this.roots.pop()!, right));
    }
  }

  root(): Uint8Array {
    if (this.roots.length === 0) return sha256(new Uint8Array());
    return this.roots.reduceRight((right, left) => nodeHash(left, right));
  }
}

/**
 * The roots of the first `old` leaves and of all `size` leaves that a consistency proof leads to, or null.
 *
 * The proof is that of RFC 9162, section 2.1.4.2, but its first hash is always there: the root of the largest
 * complete subtree that ends where the old tree ends.
 */
export function grownRoots(
  old: bigint,
  size: bigint,
  hashes: readonly Uint8Array[],
): { old: Uint8Array; new: Uint8Array } | null {
  const [first, ...rest] = hashes;
  if (first === undefined || old <= 0n || old >= size) return null;
  let [place, last] = [old - 1n, size - 1n];
  while ((place & 1n) === 1n) [place, last] = [place >> 1n, last >> 1n];
  let [before, after] = [first, first];
  for (const hash of rest) {
    if (last === 0n) return null;
    if ((place & 1n) === 1n || place === last) {
      before = nodeHash(hash, before);
      after = nodeHash(hash, after);
      while ((place & 1n) === 0n && place !== 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      after = nodeHash(after, hash);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  return last === 0n ? { old: before, new: after } : null;
}
