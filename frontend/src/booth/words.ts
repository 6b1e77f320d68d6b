/** The words of the booth. */
import en from "../catalogue/booth.en.json";
import id from "../catalogue/booth.id.json";
import { type Leaves, Sentences } from "./sentences.ts";

export { type Places, foreign } from "./sentences.ts";

export type SentenceName = Leaves<typeof en>;

export class Words extends Sentences<typeof en> {
  constructor(language: string) {
    super(language, { en, id });
  }
}
