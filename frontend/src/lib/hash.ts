/** SHA-256 in the forms that the records use. */
import { sha256 as digest } from "@noble/hashes/sha2.js";
import { concat, utf8 } from "./bytes.ts";
import { canonical } from "./json.ts";

export const sha256 = (...parts: Uint8Array[]): Uint8Array => digest(parts.length === 1 ? parts[0]! : concat(...parts));

/** The hash of a block: SHA-256 of SHA-256. */
export const doubleHash = (raw: Uint8Array): Uint8Array => digest(digest(raw));

/** What is signed or hashed for a record: the prefix of its kind and its canonical JSON. */
export const prefixed = (domain: string, value: unknown): Uint8Array => concat(utf8(domain), canonical(value));
