/** The sentences of a catalogue in the language of the page. */
import { type TemplateResult, html } from "lit-html";
import { shown } from "../lib/text.ts";

export type Language = "en" | "id";

/** How dates are written: as the other pages write them. */
const LOCALES: Record<Language, string> = { en: "en-GB", id: "id" };

/** The name of a sentence in a catalogue, such as `review.title`. */
export type Leaves<T, P extends string = ""> = {
  [K in keyof T & string]: T[K] extends string ? `${P}${K}` : Leaves<T[K], `${P}${K}.`>;
}[keyof T & string];

export type Places = Record<string, string | number>;

/** A text that another person wrote: it cannot turn the direction of the text around it, or hide. */
export const foreign = (text: string): TemplateResult => html`<bdi>${shown(text)}</bdi>`;

export class Sentences<C> {
  readonly language: Language;
  private readonly catalogue: C;

  constructor(language: string, catalogues: Record<Language, C>) {
    this.language = language in catalogues ? (language as Language) : "en";
    this.catalogue = catalogues[this.language];
  }

  /** A sentence with its places filled in, as text. */
  say(name: Leaves<C>, places: Places = {}): string {
    return this.pieces(name, places)
      .map((piece) => piece.text)
      .join("");
  }

  /** The same for a page: a text in a place is set apart. */
  show(name: Leaves<C>, places: Places = {}): unknown[] {
    return this.pieces(name, places).map(({ text, isName }) => (isName ? foreign(text) : text));
  }

  /** Whether there is such a sentence. */
  has(name: string): name is Leaves<C> {
    return typeof this.find(name) === "string";
  }

  /** The sentence `name.one` or `name.other`, as the number asks for. */
  count(name: string, n: number, places: Places = {}): string {
    const rule = new Intl.PluralRules(this.language).select(n) === "one" ? "one" : "other";
    return this.say(`${name}.${rule}` as Leaves<C>, { ...places, n });
  }

  number(value: number): string {
    return value.toLocaleString(this.language);
  }

  list(names: readonly string[]): string {
    return new Intl.ListFormat(this.language).format(names);
  }

  /** A time of Unix seconds, with its zone. */
  time(seconds: number, zone: string): string {
    const options = { dateStyle: "long", timeStyle: "short" } as const;
    const format = (timeZone: string) => {
      const shownTime = new Intl.DateTimeFormat(LOCALES[this.language], { ...options, timeZone }).format(
        seconds * 1000,
      );
      const parts = new Intl.DateTimeFormat(LOCALES[this.language], { timeZoneName: "short", timeZone }).formatToParts(
        seconds * 1000,
      );
      return `${shownTime} ${parts.find((part) => part.type === "timeZoneName")?.value ?? timeZone}`;
    };
    try {
      return format(zone);
    } catch {
      return format("UTC"); // a zone that this browser does not know
    }
  }

  private pieces(name: string, places: Places): { text: string; isName: boolean }[] {
    return (this.find(name) as string)
      .split(/(\{\w+\})/)
      .filter((part) => part !== "")
      .map((part) => {
        if (!part.startsWith("{")) return { text: part, isName: false };
        const place = places[part.slice(1, -1)] ?? "";
        return typeof place === "number" ? { text: this.number(place), isName: false } : { text: place, isName: true };
      });
  }

  protected find(name: string): unknown {
    return name
      .split(".")
      .reduce<unknown>((found, part) => (found as Record<string, unknown> | undefined)?.[part], this.catalogue);
  }
}
