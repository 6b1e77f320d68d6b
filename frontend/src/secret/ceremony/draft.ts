/** The draft of an election: what trustees make a key for. Every record of a ceremony names its hash. */
import { toHex, utf8 } from "../../lib/bytes.ts";
import { demand } from "../../lib/fault.ts";
import { sha256 } from "../../lib/hash.ts";
import { flag, hash, integer } from "../../lib/shape.ts";
import { documentText } from "../documents.ts";
import { type Of, decode, listOf, orAbsent, orNull, plain, struct, words } from "./codec.ts";

const MAX_TRUSTEES = 16;
const LEAST_THRESHOLD = 2;
const DOMAIN = "votenet/ceremony-draft/1\n";

const number = plain(integer(Number.MIN_SAFE_INTEGER));
const question = struct({
  answers: listOf(words),
  blank: orAbsent(plain(flag), false),
  min: number,
  max: number,
  question: words,
});
const draftForm = struct({
  closes: number,
  contests: plain(hash),
  name: words,
  opens: orNull(number),
  questions: listOf(question),
  threshold: number,
  trustees: listOf(words),
  uuid: words,
});

/** An election without its key. Times are Unix seconds. */
export interface Draft extends Of<typeof draftForm> {
  readonly digest: string;
}

/** The draft in these bytes. `bad-document`, `not-canonical`, `bad-draft` */
export function readDraft(raw: Uint8Array): Draft {
  const what = "the draft of the election";
  const text = documentText(raw, what);
  const draft = decode(draftForm, text, what);
  checkDraft(draft);
  return { ...draft, digest: toHex(sha256(utf8(DOMAIN + text))) };
}

function checkDraft({ trustees, threshold, questions }: Of<typeof draftForm>): void {
  const size = trustees.length;
  const are = (holds: boolean, why: string) => demand(holds, "bad-draft", why);
  const named = new Set(trustees).size === size && trustees.every((name) => name.trim() !== "");
  are(named, "each trustee needs a name of its own");
  are(
    LEAST_THRESHOLD <= size && size <= MAX_TRUSTEES,
    `an election has ${LEAST_THRESHOLD} to ${MAX_TRUSTEES} trustees`,
  );
  are(threshold >= LEAST_THRESHOLD, "one trustee alone could open every ballot: let at least two be needed");
  are(threshold <= size, `${threshold} of ${size} trustees can never decrypt`);
  are(questions.length > 0, "the election has no contest");
}

/** The name of the trustee at this place, from 1 on. */
export const nameOf = (draft: Draft, place: number): string => draft.trustees[place - 1]!;
