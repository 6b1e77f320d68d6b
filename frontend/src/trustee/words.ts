/** The words of the trustees' page. */
import en from "../catalogue/trustee.en.json";
import id from "../catalogue/trustee.id.json";
import verifier from "../catalogue/en.json";
import { type Language, LANGUAGES, wordsOf as verifierWords } from "../verify/words.ts";

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
  /** The sentence of verify.html for a code of an archive; empty if it has none. */
  verifierCode(code: string): string;
}

export function wordsOf(language: Language): Words {
  const verify = verifierWords(language);
  const pieces = (name: SentenceName, places: Places = {}) =>
    CATALOGUES[language][name]
      .split(/(\{\w+\})/)
      .filter((part) => part !== "")
      .map((part) => {
        if (!part.startsWith("{")) return { text: part, isPlace: false };
        const place = places[part.slice(1, -1)] ?? "";
        return typeof place === "number"
          ? { text: verify.number(place), isPlace: false }
          : { text: place, isPlace: true };
      });
  return {
    language,
    pieces,
    verifierCode: (code) =>
      Object.hasOwn(verifier.codes, code) ? verify.say(`codes.${code as keyof typeof verifier.codes}`) : "",
    say: (name, places) =>
      pieces(name, places)
        .map(({ text }) => text)
        .join(""),
    has: (name): name is SentenceName => Object.hasOwn(en, name),
    list: (names) => verify.list(names),
  };
}
