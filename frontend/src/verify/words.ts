/** Sentences in the language of the reader. */
import en from "../catalogue/en.json";
import id from "../catalogue/id.json";

const CATALOGUES = { en, id } satisfies Record<string, typeof en>;
export type Language = keyof typeof CATALOGUES;
export const LANGUAGES = Object.keys(CATALOGUES) as Language[];

/** Of dates: the day before the month, and hours up to 24. */
const LOCALES: Record<Language, string> = { en: "en-GB", id: "id" };

/** The name of a sentence, such as `verdict.holds`. */
export type SentenceName = Leaves<typeof en>;
type Leaves<T, P extends string = ""> = {
  [K in keyof T & string]: T[K] extends string ? `${P}${K}` : Leaves<T[K], `${P}${K}.`>;
}[keyof T & string];

export type Places = Record<string, string | number>;

export interface Words {
  readonly language: Language;
  /** A sentence with its places filled in. */
  say(name: SentenceName, places?: Places): string;
  /** The same cut at its places, for a page that marks what stands in them. */
  pieces(name: SentenceName, places: Places): { text: string; isPlace: boolean }[];
  number(value: number | bigint): string;
  share(part: number, whole: number): string;
  /** A time of Unix seconds in a time zone of the IANA list; the word for never if there is none. */
  time(seconds: number | null, zone: string): string;
  list(names: readonly string[]): string;
}

const MOST_SECONDS = 8.64e12; // what a Date holds

export function wordsOf(language: Language): Words {
  const find = (name: string): string =>
    name
      .split(".")
      .reduce<unknown>((found, part) => (found as Record<string, unknown>)[part], CATALOGUES[language]) as string;
  const pieces = (name: string, places: Places) =>
    find(name)
      .split(/(\{\w+\})/)
      .filter((part) => part !== "")
      .map((part) =>
        part.startsWith("{")
          ? { text: String(places[part.slice(1, -1)]), isPlace: true }
          : { text: part, isPlace: false },
      );
  return {
    language,
    pieces,
    say: (name, places = {}) =>
      pieces(name, places)
        .map(({ text }) => text)
        .join(""),
    number: (value) => value.toLocaleString(language),
    share: (part, whole) =>
      (whole === 0 ? 0 : part / whole).toLocaleString(language, {
        style: "percent",
        minimumFractionDigits: 1,
        maximumFractionDigits: 1,
      }),
    time: (seconds, zone) => (seconds === null ? find("never") : timeOf(seconds, zone, language)),
    list: (names) => new Intl.ListFormat(language).format(names),
  };
}

function timeOf(seconds: number, zone: string, language: Language): string {
  if (seconds > MOST_SECONDS) return `${seconds} (Unix)`;
  const format = (timeZone: string) =>
    new Intl.DateTimeFormat(LOCALES[language], { dateStyle: "long", timeStyle: "long", timeZone }).format(
      seconds * 1000,
    );
  try {
    return format(zone);
  } catch {
    return format("UTC"); // a zone that this browser does not know
  }
}

/** The first of the reader's languages that there is, else English. */
export function preferred(languages: readonly string[]): Language {
  const known = languages.map((each) => each.slice(0, 2).toLowerCase()).map((each) => (each === "in" ? "id" : each));
  return (known.find((each) => (LANGUAGES as string[]).includes(each)) as Language | undefined) ?? "en";
}
