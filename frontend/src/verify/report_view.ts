/** What a check has found, on the page. */
import type { Amendment, Definition, EvidenceReport, ResultReport } from "../lib/index.ts";
import { isSecret } from "../lib/index.ts";
import { contestView } from "./count_view.ts";
import { type Child, element, facts, foreign, sentence } from "./dom.ts";
import type { ArchiveWithReceipts, ProofReport, ReceiptInArchive, Report, Verdict } from "./judge.ts";
import type { ReceiptReport } from "../lib/index.ts";
import type { TestedReport } from "../secret/tested_ballot.ts";
import type { SentenceName, Words } from "./words.ts";

/** What the network id of a file was compared with: nothing, what the reader typed, or the page of the election. */
export type Anchor = "none" | "network" | "page";

/** One card: the file, the verdict, and what follows from it. */
export function verdictView(words: Words, verdict: Verdict, anchor: Anchor): HTMLElement {
  const { outcome, file } = verdict;
  const marks = { holds: "\u2713", broken: "\u2717", cannot: "?" };
  return element(
    "article",
    { class: outcome },
    element(
      "h2",
      {},
      element("span", { "aria-hidden": "true" }, `${marks[outcome]} `),
      words.say(`verdict.${outcome}`),
    ),
    element("p", { class: "quiet" }, words.say(`kind.${file.kind}`), ": ", foreign(file.name)),
    ...("report" in verdict ? reportView(words, verdict.report, anchor) : [trouble(words, verdict)]),
  );
}

function trouble(words: Words, verdict: Exclude<Verdict, { report: Report }>): HTMLElement {
  if ("need" in verdict) return element("p", {}, words.say(`need.${verdict.need}`));
  if ("defect" in verdict) return sentence(words, "need.defect", { error: verdict.defect });
  const { code, where } = verdict.fault;
  return element(
    "div",
    {},
    element("p", {}, words.say(`codes.${code}` as SentenceName)),
    facts([
      [words.say("fault.code"), element("code", {}, code)],
      [words.say("fault.where"), foreign(where)],
    ]),
  );
}

function reportView(words: Words, report: Report, anchor: Anchor): Child[] {
  return [
    element("h3", {}, foreign(report.definition.title)),
    ...told(words, report),
    sentence(words, `anchor.${anchor}`, { network: report.networkId }),
    details(words, report),
  ];
}

function told(words: Words, report: Report): Child[] {
  switch (report.kind) {
    case "archive":
      return archiveView(words, report);
    case "result":
      return resultView(words, report);
    case "evidence":
      return evidenceView(words, report);
    case "tested-ballot":
      return testedView(words, report);
    default:
      return receiptView(words, report);
  }
}

const signers = (words: Words, names: readonly string[], definition: Definition) => ({
  count: words.number(names.length),
  all: words.number(definition.nodes.length),
  names: words.list(names),
});

function receiptView(words: Words, report: ReceiptReport | ProofReport): Child[] {
  const { vote, definition, finality } = report;
  const places = { ...signers(words, report.signedBy, definition), height: words.number(report.block?.height ?? 0) };
  const liars = words.number(Math.max(0, Math.floor((definition.nodes.length - 1) / 3)));
  return [
    sentence(words, `receipt.${finality}`, places),
    finality !== "received"
      ? null
      : element("p", {}, report.promised ? words.say("receipt.promised", { liars }) : words.say("receipt.wait")),
    ...(vote.ballot === undefined
      ? chosenView(words, "receipt.choices", definition, vote.choices)
      : [element("p", {}, words.say("receipt.encrypted"))]),
    facts([[words.say("receipt.voter"), foreign(vote.voter_id)]]),
    element("p", {}, words.say(`roll.${report.roll}`)),
  ];
}

/** What was chosen in each contest; null where that is not known. */
function chosenView(
  words: Words,
  heading: SentenceName,
  { contests }: Definition,
  chosen: readonly (readonly string[] | null)[],
): Child[] {
  const rows = contests.map((contest, index) => [foreign(contest.title), choicesOf(words, chosen[index]!)] as const);
  const pairs = rows.map(([title, names]) => element("div", {}, element("dt", {}, title), element("dd", {}, names)));
  return [element("h4", {}, words.say(heading)), element("dl", {}, ...pairs)];
}

function choicesOf(words: Words, choices: readonly string[] | null): Child {
  if (choices === null) return words.say("tested.unknown");
  if (choices.length === 0) return words.say("receipt.blank");
  return element("ol", {}, ...choices.map((choice) => element("li", {}, foreign(choice))));
}

function testedView(words: Words, report: TestedReport): Child[] {
  return [
    element("p", { class: "outcome" }, words.say(report.same ? "tested.same" : "tested.differs")),
    ...chosenView(words, "tested.chosen", report.definition, report.chosen),
    element("p", {}, words.say("tested.compare")),
    element("p", {}, element("code", {}, report.fingerprint)),
    element("p", { class: "quiet" }, words.say("tested.thrownAway")),
  ];
}

/** Whether the counts of an archive are known, and by whom. */
function decryptionView(words: Words, { decryption, finality, votes }: ArchiveWithReceipts): HTMLElement | null {
  if (decryption === null || finality === "cancelled") return null;
  if (decryption.isOpen) return sentence(words, "secret.opened", { names: words.list(decryption.by) });
  const places = { count: words.number(decryption.by.length), needed: words.number(decryption.needed) };
  const told = finality === "final" ? "secret.sealed" : "secret.tooEarly";
  return sentence(words, told, { ...places, votes: words.number(votes) });
}

/** Whether an archive counts the vote of a receipt. */
function receiptInArchive(words: Words, { name, voter, place }: ReceiptInArchive): HTMLElement {
  const told = { counted: "receipt.counted", "not-yet": "receipt.notYet", missing: "receipt.missing" } as const;
  const made = sentence(words, told[place], { voter, file: name });
  if (place === "missing") made.className = "outcome bad";
  return made;
}

function archiveView(words: Words, report: ArchiveWithReceipts): Child[] {
  const { definition, finality, signedBy, decryption } = report;
  const final = finality === "final";
  const isSealed = decryption !== null && !decryption.isOpen;
  const told = final && isSealed ? "sealed" : finality;
  return [
    element("p", {}, words.say(`finality.${told}`, { toCome: words.number(report.toCome) })),
    decryptionView(words, report),
    signedBy.length === 0 ? null : sentence(words, "finality.signed", signers(words, signedBy, definition)),
    element("p", {}, words.say(`roll.${report.roll}`)),
    ...report.receipts.map((each) => receiptInArchive(words, each)),
    amendmentsView(words, report.amendments, definition),
    ...(report.shown
      ? report.contests.map(({ contest, counted, rounds, matrix }) =>
          contestView(words, contest, counted, { rounds, matrix }, { final, isSecret: decryption !== null }),
        )
      : [isSealed ? null : element("p", {}, words.say("count.hidden"))]),
  ];
}

function resultView(words: Words, report: ResultReport): Child[] {
  const { definition } = report;
  return [
    sentence(words, "finality.signed", signers(words, report.signedBy, definition)),
    element("p", {}, words.say(report.compared ? "result.compared" : "result.alone")),
    report.notCounted === 0
      ? null
      : element("p", {}, words.say("result.notCounted", { count: words.number(report.notCounted) })),
    amendmentsView(words, report.amendments, definition),
    ...report.contests.map((counted, index) =>
      contestView(words, definition.contests[index]!, counted, null, { final: true, isSecret: isSecret(definition) }),
    ),
  ];
}

function evidenceView(words: Words, report: EvidenceReport): Child[] {
  return [
    sentence(words, "evidence.name", { node: words.number(report.node), name: report.name }),
    element("p", {}, words.say(`evidence.${report.lie}` as SentenceName)),
  ];
}

function amendmentsView(words: Words, amendments: readonly Amendment[], definition: Definition): HTMLElement | null {
  if (amendments.length === 0) return null;
  const items = amendments.map((each) => {
    const places = { voter: each.voter_id ?? "", closes: words.time(each.closes, definition.time_zone) };
    const made = element("li", {}, sentence(words, `amendments.${each.action}`, places));
    if (each.reason !== "") made.append(sentence(words, "amendments.reason", { reason: each.reason }));
    return made;
  });
  return element("div", {}, element("h4", {}, words.say("amendments.title")), element("ol", {}, ...items));
}

function details(words: Words, report: Report): HTMLElement {
  const { definition } = report;
  const zone = definition.time_zone;
  const code = (text: string) => element("code", {}, text);
  const closes = "closes" in report ? report.closes : definition.closes;
  const votes =
    "amendments" in report && "votes" in report ? votesOf(words, report.votes, definition, report.amendments) : null;
  return element(
    "details",
    {},
    element("summary", {}, words.say("election.details")),
    facts([
      [words.say("election.organiser"), definition.organiser === "" ? null : foreign(definition.organiser)],
      [words.say("election.opens"), definition.opens === null ? null : words.time(definition.opens, zone)],
      [words.say("election.closes"), words.time(closes, zone)],
      [words.say("election.votes"), votes],
      [words.say("election.height"), "height" in report ? words.number(report.height) : null],
      [words.say("election.tip"), "tip" in report ? code(report.tip) : null],
      [words.say("receipt.voteId"), "voteId" in report ? code(report.voteId) : null],
      [words.say("election.network"), code(report.networkId)],
    ]),
  );
}

function votesOf(
  words: Words,
  votes: number,
  { roll_size: size }: Definition,
  amendments: readonly Amendment[],
): string {
  if (size === null) return words.number(votes);
  const roll = size + amendments.filter((each) => each.action === "add-voter").length;
  return words.say("election.turnout", { votes: words.number(votes), roll: words.number(roll) });
}
