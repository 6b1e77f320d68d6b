/** The words of the trustees' page. */
import en from "../catalogue/trustee.en.json";
import id from "../catalogue/trustee.id.json";
import { type Language, LANGUAGES, type Words as VerifierWords, wordsOf as verifierWords } from "../verify/words.ts";

const CATALOGUES = { en, id } satisfies Record<Language, typeof en>;

export { type Language, LANGUAGES };
export { preferred } from "../verify/words.ts";
export type SentenceName = keyof typeof en;
export type Places = Record<string, string | number>;

export interface Words {
  readonly language: Language;
  say(name: SentenceName, places?: Places): string;
  has(name: string): name is SentenceName;
  /** The same cut at its places. */
  pieces(name: SentenceName, places?: Places): { text: string; isPlace: boolean }[];
  list(names: readonly string[]): string;
  /** Those about archives, which verify.html checks, too. */
  readonly verifier: VerifierWords;
}

export function wordsOf(language: Language): Words {
  const verifier = verifierWords(language);
  const pieces = (name: SentenceName, places: Places = {}) =>
    CATALOGUES[language][name]
      .split(/(\{\w+\})/)
      .filter((part) => part !== "")
      .map((part) => {
        if (!part.startsWith("{")) return { text: part, isPlace: false };
        const place = places[part.slice(1, -1)] ?? "";
        return typeof place === "number"
          ? { text: verifier.number(place), isPlace: false }
          : { text: place, isPlace: true };
      });
  return {
    language,
    pieces,
    verifier,
    say: (name, places) =>
      pieces(name, places)
        .map(({ text }) => text)
        .join(""),
    has: (name): name is SentenceName => Object.hasOwn(en, name),
    list: (names) => verifier.list(names),
  };
}
