/** Belenios' `election`: contests, key, and the hash that is in every proof. */
import { demand } from "../lib/fault.ts";
import { flag, integer, list, text } from "../lib/shape.ts";
import { fingerprint, objectWith, readDocument } from "./documents.ts";
import { Element } from "./group.ts";

const VERSION = 1;
const GROUP = "Ed25519";
const UUID = /^[1-9A-HJ-NP-Za-km-z]{14,}$/;

/** A contest with zero or one for each candidate: from `min` to `max` of them, or none at all where `blank` is. */
export interface Question {
  readonly answers: readonly string[];
  readonly blank: boolean;
  readonly min: number;
  readonly max: number;
  readonly question: string;
}

const number = integer(Number.MIN_SAFE_INTEGER);
const question = objectWith({ answers: list(text()), max: number, min: number, question: text() }, { blank: flag });

const belenios = objectWith(
  {
    version: number,
    description: text(),
    name: text(),
    group: text(),
    public_key: text(),
    questions: list(question),
    uuid: text(),
  },
  { administrator: text(), credential_authority: text() },
);

/** An election with the text that its hash is over: that stays as it was written. */
export interface SecretElection {
  readonly text: string;
  /** The specification's phi. */
  readonly fingerprint: string;
  readonly uuid: string;
  readonly name: string;
  readonly description: string;
  readonly key: Element;
  readonly questions: readonly Question[];
}

/** The election in this text. `bad-document`, `bad-point`, `bad-election`. */
export function readElection(raw: string): SecretElection {
  const read = readDocument(raw, "the election", belenios);
  const key = Element.parse(read.public_key).withTable();
  demand(
    read.version === VERSION && read.group === GROUP,
    "bad-election",
    "the election is of another version or group",
  );
  demand(UUID.test(read.uuid), "bad-election", "the uuid of the election is not 14 base58 characters or more");
  demand(read.questions.length > 0, "bad-election", "the election has no contest");
  const questions = read.questions.map((one) => ({ ...one, blank: one.blank ?? false }));
  for (const [index, { answers, min, max }] of questions.entries()) {
    const isPossible = answers.length > 0 && 0 <= min && min <= max && max <= answers.length;
    demand(isPossible, "bad-election", `contest ${index + 1} allows totals that its candidates cannot have`);
  }
  const { uuid, name, description } = read;
  return { text: raw, fingerprint: fingerprint(raw), uuid, name, description, key, questions };
}

type Written = Pick<SecretElection, "uuid" | "name" | "description" | "questions"> & { key: string };

/** The text of an election as votenet defines it: no administrator, no credential authority. */
export function writeElection(one: Written): string {
  const questions = one.questions.map(({ answers, blank, min, max, question: asked }) => ({
    answers,
    ...(blank ? { blank } : {}),
    min,
    max,
    question: asked,
  }));
  const { uuid, name, description, key } = one;
  return JSON.stringify({ version: VERSION, description, name, group: GROUP, public_key: key, questions, uuid });
}

/** Whether these zeros and ones are an answer. Where blank votes are allowed the first one says whether this is one. */
export function allows({ answers, blank, min, max }: Question, numbers: readonly number[]): boolean {
  if (numbers.length !== lengthOf({ answers, blank }) || !numbers.every((one) => one === 0 || one === 1)) return false;
  const sum = numbers.reduce<number>((total, one) => total + one, 0);
  return blank && numbers[0] === 1 ? sum === 1 : min <= sum && sum <= max;
}

/** How many choices an answer has. */
export const lengthOf = ({ answers, blank }: Pick<Question, "answers" | "blank">): number =>
  answers.length + (blank ? 1 : 0);

/** The zeros and ones for the names that a voter chose; none is a blank vote where one is allowed. `bad-choices` */
export function numbersOf({ questions }: SecretElection, choices: readonly (readonly string[])[]): number[][] {
  demand(
    choices.length === questions.length,
    "bad-choices",
    `${choices.length} answers for ${questions.length} contests`,
  );
  return questions.map((one, index) => {
    const [names, where] = [choices[index]!, `contest ${index + 1}`];
    const chosen = new Set(names);
    const isKnown = chosen.size === names.length && names.every((name) => one.answers.includes(name));
    demand(isKnown, "bad-choices", `${where}: a name that is no candidate's, or is there twice`);
    const numbers = one.answers.map((name) => (chosen.has(name) ? 1 : 0));
    const all = one.blank ? [names.length === 0 ? 1 : 0, ...numbers] : numbers;
    demand(allows(one, all), "bad-choices", `${where}: ${names.length} names are no answer`);
    return all;
  });
}
