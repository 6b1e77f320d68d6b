/** The words of the booth. */
import en from "../catalogue/booth.en.json";
import id from "../catalogue/booth.id.json";
import { type Leaves, Sentences } from "./sentences.ts";

export { type Places, foreign } from "./sentences.ts";

export type SentenceName = Leaves<typeof en>;

export class Words extends Sentences<typeof en> {
  /** `ownCodes`: members make their codes themselves, and have no cards. */
  constructor(
    language: string,
    private readonly ownCodes = false,
  ) {
    super(language, { en, id });
  }

  protected override find(name: string): unknown {
    return (this.ownCodes ? super.find(`ownCodes.${name}`) : undefined) ?? super.find(name);
  }
}
