/** An election of five named nodes in memory, and the answers that a pages' server gives for it. */
import * as votenet from "../src/lib/index.ts";
import type { ElectionState } from "../src/api/types.ts";

const { limits } = votenet;
const NODES = 5;
const seedOf = (name: string): Uint8Array => votenet.sha256(votenet.utf8(name));
const keyOf = (name: string): string => votenet.toHex(votenet.publicKey(seedOf(name)));

const candidate = (name: string, statement = "") => ({ name, statement });
const contest = {
  blank: true,
  description: "",
  max: 1,
  min: 1,
  quorum: null,
  seats: 1,
  threshold: null,
};

export const CONTESTS: votenet.Contest[] = [
  {
    ...contest,
    id: "chair",
    title: "Chair",
    description: "The chair leads the meetings for one year.",
    method: "plurality",
    candidates: [
      candidate("Alice Ardiansyah", "I have been treasurer for two years."),
      candidate("Bo"),
      candidate("محمد"),
    ],
  },
  {
    ...contest,
    id: "board",
    title: "Board members",
    method: "block",
    max: 2,
    seats: 2,
    candidates: ["Ann", "Cy", "Dewi", "Emil"].map((name) => candidate(name)),
  },
  {
    ...contest,
    id: "place",
    title: "Where we meet",
    method: "instant-runoff",
    max: 3,
    candidates: ["Harbour hall", "Library", "Old school with a very long name that does not fit on one line"].map(
      (name) => candidate(name),
    ),
  },
  {
    ...contest,
    id: "bylaws",
    title: "New bylaws",
    method: "motion",
    blank: false,
    candidates: ["Yes", "No", "Abstain"].map((name) => candidate(name)),
    threshold: { basis: "cast", share: "two-thirds" },
  },
];

export function definitionOf(changes: Partial<votenet.Definition> = {}): votenet.Definition {
  return {
    authority_key: keyOf("authority"),
    belenios: "",
    chain: { bits: 0x207fffff, block_seconds: 1, grace_seconds: 5, max_block_votes: 100 },
    closes: 1_900_000_000,
    contests: CONTESTS,
    created: 1_700_000_000,
    language: "en",
    nodes: Array.from({ length: NODES }, (_, node) => ({
      cosign_key: keyOf(`cosign ${node}`),
      log_key: keyOf(`log ${node}`),
      name: `node-${node + 1}`,
      node_key: keyOf(`node ${node}`),
      statement_key: keyOf(`statement ${node}`),
    })),
    opens: null,
    organiser: "Club of Friends, friends@example.org",
    registration: "roll",
    results: "live",
    roll_root: "00".repeat(32),
    roll_size: 100,
    secrecy: "public",
    time_zone: "Asia/Jakarta",
    title: "Annual meeting 2027",
    trustees: null,
    uuid: "2222222222222A",
    version: limits.FORMAT_VERSION,
    weighted: false,
    witnesses: [],
    ...changes,
  };
}

/** An answer of the server: an object, a text, or a refusal. */
type Answer = { status?: number; headers?: Record<string, string>; body: unknown };
export type Request = { path: string; query: URLSearchParams; body: string };

export class ScriptedElection {
  readonly election: votenet.Election;
  state: ElectionState = "open";
  amendments: votenet.Amendment[] = [];
  /** Seconds of the server's clock. */
  now = 1_800_000_000;
  /** The voter ids of public keys. */
  readonly roll = new Map<string, string>();
  readonly votes = new Map<string, votenet.Vote>();
  /** How many times a vote is looked at before it is final. */
  looksBeforeFinal = 2;
  receivedBy = [0, 1, 2];
  signedBy = [0, 1, 3, 4];
  /** Everything that was asked. */
  readonly asked: Request[] = [];
  /** Changes or replaces an answer; `undefined` leaves it. An error is a lost connection. */
  meddle: (request: Request, answer: () => Answer) => Answer | undefined = () => undefined;
  private looks = 0;

  constructor(changes: Partial<votenet.Definition> = {}) {
    this.election = new votenet.Election(definitionOf(changes));
  }

  /** A code of a voter who is on the roll. */
  codeFor(voterId: string): string {
    const digits = Array.from(
      votenet.sha256(votenet.utf8(voterId)),
      (byte) => "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[byte % 32],
    );
    const code = votenet.codeOf(digits.slice(0, 21).join(""));
    const seed = votenet.seedOfCode(code, this.election.definition.uuid);
    this.roll.set(votenet.toHex(votenet.publicKey(seed)), voterId);
    return code;
  }

  readonly fetch = async (url: string, init: RequestInit = {}): Promise<Response> => {
    await Promise.resolve();
    const { pathname, searchParams } = new URL(url, "http://localhost");
    const request = { path: pathname.replace("/api/v1/", ""), query: searchParams, body: String(init.body ?? "") };
    this.asked.push(request);
    const answer = () => this.answer(request);
    const { status = 200, headers = {}, body } = this.meddle(request, answer) ?? answer();
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return new Response(text, { status, headers: { date: new Date(this.now * 1000).toUTCString(), ...headers } });
  };

  answer({ path, query, body }: Request): Answer {
    const voter = query.get("voter") ?? "";
    switch (path) {
      case "state":
        return { body: this.liveState() };
      case "election":
        return { body: this.electionAnswer() };
      case "nodes":
        return { body: { nodes: [{ address: "127.0.0.1:3001", name: "node-2" }] } };
      case "voter":
        return this.voterAnswer(query.get("key")!);
      case "votes":
        return this.castAnswer(JSON.parse(body) as votenet.Vote);
      case "vote":
        return { body: this.voteAnswer(voter, query.get("other_than")) };
      case "receipt":
        return { body: this.receipt(voter, query.has("received")) };
      default:
        return refused(404, "not-found");
    }
  }

  liveState(): object {
    const { definition, networkHex } = this.election;
    const hours = { opens: definition.opens, closes: this.closes };
    return {
      network_id: networkHex,
      state: this.state,
      ...hours,
      height: 2,
      final_height: 1,
      named: NODES,
      at: this.now,
    };
  }

  private get closes(): number | null {
    return this.amendments.findLast(({ closes }) => closes !== null)?.closes ?? this.election.definition.closes;
  }

  /** An amendment that moves the closing time. */
  extend(closes: number): void {
    this.amend("extend", closes);
  }

  cancel(): void {
    this.amend("cancel", null);
  }

  /** `more`: the key and whatever else a change of the roll has. */
  addVoter(voter: string, more: { key?: string; credential?: string } = {}): void {
    this.amend("add-voter", null, { key: keyOf(voter), voter_id: voter, weight: 1, ...more });
  }

  private amend(
    action: votenet.Amendment["action"],
    closes: number | null,
    more: Partial<votenet.Amendment> = {},
  ): void {
    const record = {
      ...{ action, closes, key: null, network_id: this.election.networkHex },
      ...{ number: this.amendments.length + 1, reason: "", voter_id: null, weight: null },
      ...more,
    };
    const message = votenet.prefixed(limits.DOMAIN_AMENDMENT, record);
    const signature = votenet.toHex(votenet.sign(seedOf("authority"), message));
    this.amendments.push({ ...record, kind: "amendment", signature });
  }

  private electionAnswer(): object {
    const { definition, networkHex } = this.election;
    const hours = { opens: definition.opens, closes: this.closes };
    return { network_id: networkHex, definition, amendments: this.amendments, ...hours, state: this.state };
  }

  private voterAnswer(key: string): Answer {
    const voterId = this.roll.get(key);
    if (voterId === undefined) return refused(404, "not-on-roll");
    return { body: { voter_id: voterId, weight: 1, voted: this.votes.has(voterId) } };
  }

  private castAnswer(vote: votenet.Vote): Answer {
    const first = this.votes.get(vote.voter_id);
    if (first !== undefined && votenet.canonicalText(first) !== votenet.canonicalText(vote)) {
      return refused(409, "already-voted");
    }
    this.votes.set(vote.voter_id, vote);
    const answer = {
      vote_id: votenet.toHex(votenet.voteId(vote)),
      voter_id: vote.voter_id,
      received_by: this.election.names(this.receivedBy),
      received: this.receivedBy.length,
      of: NODES,
      acceptances: this.acceptances(vote),
      node: "127.0.0.1:3000",
      state: "received",
    };
    return { body: answer };
  }

  private acceptances(vote: votenet.Vote): votenet.Acceptance[] {
    const root = votenet.toHex(votenet.voteId(vote));
    return this.receivedBy.map((node) => {
      const said = { count: 1, network_id: this.election.networkHex, node, root, time: this.now };
      const message = votenet.prefixed(limits.DOMAIN_ACCEPTANCE, said);
      const signature = votenet.toHex(votenet.sign(seedOf(`statement ${node}`), message));
      return { count: 1, index: 0, node, path: [], signature, time: this.now };
    });
  }

  private voteAnswer(voterId: string, otherThan: string | null): object {
    const vote = this.votes.get(voterId);
    const node = otherThan === "127.0.0.1:3000" ? "127.0.0.1:3001" : "127.0.0.1:3000";
    if (vote === undefined)
      return {
        voter_id: voterId,
        state: "unknown",
        vote_id: null,
        time: null,
        height: null,
        vote: null,
        node,
        signed_by: [],
      };
    const isFinal = this.looks++ >= this.looksBeforeFinal;
    return {
      voter_id: voterId,
      state: isFinal ? "final" : "received",
      vote_id: votenet.toHex(votenet.voteId(vote)),
      time: vote.time,
      height: isFinal ? 1 : null,
      vote: isFinal || otherThan !== null ? vote : null,
      node,
      signed_by: isFinal ? this.election.names(this.signedBy) : [],
    };
  }

  receipt(voterId: string, received = false): string {
    const vote = this.votes.get(voterId)!;
    const record = {
      acceptances: received ? this.acceptances(vote) : [],
      amendments: this.amendments,
      chain: null,
      definition: this.election.definition,
      format: limits.RECEIPT_FORMAT,
      proof: received ? "" : this.proof(vote),
      version: limits.FORMAT_VERSION,
      vote,
    };
    return `${votenet.canonicalText(record)}\n`;
  }

  /** A proof in a log of two leaves, the second of which is the vote. */
  private proof(vote: votenet.Vote): string {
    const first = votenet.leafHash(votenet.utf8("genesis"));
    const root = votenet.treeRoot([first, votenet.voteId(vote)]);
    const { origin } = this.election;
    const body = `${origin}\n2\n${votenet.toBase64(root)}\n`;
    const lines = this.signedBy.map((node) => this.cosignature(node, body));
    return `c2sp.org/tlog-proof@v1\nindex 1\n${votenet.toBase64(first)}\n\n${body}\n${lines.join("")}`;
  }

  private cosignature(node: number, body: string): string {
    const name = `${this.election.origin}/${node}`;
    const key = votenet.hex(keyOf(`cosign ${node}`));
    const id = votenet.sha256(votenet.utf8(`${name}\n`), Uint8Array.of(4), key).subarray(0, 4);
    const time = new Uint8Array(8);
    new DataView(time.buffer).setBigUint64(0, BigInt(this.now));
    const message = votenet.utf8(`cosignature/v1\ntime ${this.now}\n${body}`);
    const signature = votenet.sign(seedOf(`cosign ${node}`), message);
    return `\u2014 ${name} ${votenet.toBase64(votenet.concat(id, time, signature))}\n`;
  }
}

export const refused = (status: number, code: string, headers: Record<string, string> = {}): Answer => ({
  status,
  headers,
  body: { error: { code, message: code, next: "" } },
});
