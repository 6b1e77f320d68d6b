/** The folder that tests/web/make_corpus.py has written, and how a test reads it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.env["VOTENET_CORPUS"];

/** Why a test that needs the corpus is skipped; false where it is there. */
export const withoutCorpus: string | false =
  folder === undefined ? "set VOTENET_CORPUS to a folder that tests/web/make_corpus.py has written" : false;

export const corpusBytes = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(join(folder!, name)));

export const corpusJson = <T>(name: string): T => JSON.parse(readFileSync(join(folder!, name), "utf8")) as T;

/** A file of the repository. */
export const repositoryJson = <T>(path: string): T =>
  JSON.parse(readFileSync(join(process.env["FRONTEND"]!, "..", path), "utf8")) as T;

/** A file of the corpus: what it is checked as, with which others, and the code of its first fault. */
export interface Case {
  name: string;
  check: "archive" | "receipt" | "result" | "evidence";
  file: string;
  code: string;
  data: string;
  roll: string | null;
  archive: string | null;
  /** What the second verifier says of a good one. */
  report: Record<string, unknown>;
}

export interface Corpus {
  /** The clock of the checkers. */
  now: number;
  cases: Case[];
}
