/** Final results: who signed one, and whether an archive gives the same counts. */
import { type Amendment, InForce, amendments, takeAmendments } from "./amendment.ts";
import { type Books, type Context, type NamedFile, finalBooks } from "./archive.ts";
import { compareText, equalBytes, toHex } from "./bytes.ts";
import { type Contest, type Definition, definition } from "./definition.ts";
import { demand } from "./fault.ts";
import { prefixed } from "./hash.ts";
import { checkFormat, oneRecord } from "./file.ts";
import { type Json, canonicalText, parseRecord } from "./json.ts";
import { DOMAIN_COUNTED, RESULT_FORMAT, RESULT_VERSION } from "./limits.ts";
import { leafHash, treeRoot } from "./merkle.ts";
import { readCertificate } from "./note.ts";
import { checkable } from "./secret_rules.ts";
import { type Of, bad, flag, hash, integer, list, object, oneOf, pattern, text } from "./shape.ts";

const STATES = ["carried", "rejected", "tied", "undecided", "won"];

function countLine(value: Json): [string, number] {
  if (!Array.isArray(value) || value.length !== 2) bad("a count has a name and a number");
  text()(value[0]!);
  integer()(value[1]!);
  return value as [string, number];
}

const counted = object({
  blank: integer(),
  conditions: list(object({ got: integer(), met: flag, name: oneOf("threshold", "quorum"), needed: integer() })),
  counts: list(countLine),
  id: text(),
  quota: pattern(/^([1-9][0-9]{0,15})?$/),
  state: text(),
  tied: list(text()),
  votes: integer(),
  weight: integer(),
  winners: list(text()),
});
export type ResultContest = Of<typeof counted>;

const result = object({
  amendments,
  certificate: text(),
  contests: list(counted),
  definition,
  format: text(),
  height: integer(),
  not_counted: list(object({ id: hash, lists: integer() })),
  root: hash,
  tip: hash,
  version: integer(),
  votes: integer(),
});
type Result = Of<typeof result>;

export interface ResultReport {
  kind: "result";
  definition: Definition;
  networkId: string;
  amendments: Amendment[];
  closes: number | null;
  contests: ResultContest[];
  votes: number;
  height: number;
  tip: string;
  notCounted: number;
  signedBy: string[];
  /** Whether an archive gave the same counts; without one they are the file's own word. */
  compared: boolean;
}

/** Everything that a final result claims; with `archive` it is counted again. */
export async function checkResult(
  file: NamedFile,
  context: Context,
  archive: NamedFile | null = null,
): Promise<ResultReport> {
  const one = parseRecord(await oneRecord(file.blob, file.name), result);
  checkFormat(one, RESULT_FORMAT, RESULT_VERSION);
  const election = checkable(one.definition);
  const own = (context.network ?? election.networkHex) === election.networkHex;
  demand(own, "network-mismatch", `the result is of network ${election.networkHex}`);
  demand(election.named, "not-final", "an election without named nodes is never final");
  const force = takeAmendments(one.amendments, new InForce(election));
  const { size, root, signers } = readCertificate(one.certificate, election);
  const enough = size > BigInt(one.votes) + BigInt(one.height) + BigInt(one.amendments.length);
  demand(enough, "wrong-totals", "the certificate is of a log without these votes and amendments");
  demand(isOfContests(one), "wrong-totals", "the contests are not those of the definition");
  if (archive !== null) {
    const books = await finalBooks(archive, election, context);
    demand(!books.sealed, "not-final", "the votes are encrypted, and too few trustees have decrypted the count");
    const wrong = differences(one, books);
    demand(wrong.length === 0, "wrong-totals", `the archive gives another ${wrong.join(", ")}`);
    const same = size === BigInt(books.log.size) && equalBytes(root, books.log.root());
    demand(same, "wrong-totals", "the archive gives another log");
  }
  return {
    kind: "result",
    definition: one.definition,
    networkId: election.networkHex,
    amendments: one.amendments,
    closes: force.closes,
    contests: one.contests,
    ...{ votes: one.votes, height: one.height, tip: one.tip },
    notCounted: one.not_counted.length,
    signedBy: election.names(signers),
    compared: archive !== null,
  };
}

function isOfContests(one: Result): boolean {
  const { contests } = one.definition;
  return contests.length === one.contests.length && contests.every((each, at) => isOf(each, one.contests[at]!));
}

/** Whether counts are of the candidates of a contest, with a state that a count has. */
function isOf(contest: Contest, one: ResultContest): boolean {
  const names = contest.candidates.map(({ name }) => name);
  const named = one.counts.map(([name]) => name);
  const same = canonicalText([...named].sort()) === canonicalText([...names].sort());
  const known = [...one.winners, ...one.tied].every((name) => names.includes(name));
  return contest.id === one.id && same && known && STATES.includes(one.state);
}

/** The members of a result that the blocks of an archive give otherwise. */
function differences(one: Result, books: Books): string[] {
  const rebuilt = resultOf(books);
  const names = Object.keys(rebuilt) as (keyof typeof rebuilt)[];
  return names.filter((name) => canonicalText(one[name]) !== canonicalText(rebuilt[name]));
}

/** The members of a final result that the blocks of an archive give. */
export function resultOf(books: Books) {
  const contests = books.counted().map((each, index) => ({
    id: books.election.definition.contests[index]!.id,
    ...each.counted,
  }));
  const voters = [...books.voters].sort(([one], [other]) => compareText(one, other));
  const lists = new Map<string, number>();
  for (const ids of books.closing.lists.values()) {
    for (const id of ids) if (!books.voteIds.has(id)) lists.set(id, (lists.get(id) ?? 0) + 1);
  }
  return {
    ...books.totals(),
    amendments: books.force.records,
    contests,
    not_counted: [...lists]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([id, count]) => ({ id, lists: count })),
    root: toHex(treeRoot(voters.map((pair) => leafHash(prefixed(DOMAIN_COUNTED, pair))))),
  };
}
