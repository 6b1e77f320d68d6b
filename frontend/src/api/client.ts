/** Asks the pages' server: one function a question, every answer or refusal within a time limit. */
import { type Json, isObject, parseJson } from "../lib/index.ts";
import { Clock } from "./clock.ts";
import { retryAfter } from "./pauses.ts";
import type {
  CastAnswer,
  ElectionAnswer,
  EnrolmentAnswer,
  LiveState,
  NodeAnswer,
  VoteAnswer,
  VoterAnswer,
} from "./types.ts";

export const API = "/api/v1";
const ANSWER_MS = 15_000;

/** The server refused: its code, and when to ask again. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly retrySeconds: number | null = null,
  ) {
    super(code);
    this.name = "Refused";
  }
}

/** No answer, or none that can be read: nothing is known about what the server did. */
export class NoAnswer extends Error {
  override name = "NoAnswer";
}

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export class Api {
  readonly clock = new Clock();

  constructor(
    private readonly fetch: Fetch = (url, init) => globalThis.fetch(url, init),
    private readonly answerMs = ANSWER_MS,
  ) {}

  state = (): Promise<LiveState> => this.ask("state");
  election = (): Promise<ElectionAnswer> => this.ask("election");
  voter = (key: string): Promise<VoterAnswer> => this.ask(`voter?key=${key}`);

  nodes = (): Promise<{ nodes: NodeAnswer[] }> => this.ask("nodes");

  /** Hands in a vote record; `record` is sent as it is. */
  cast = (record: string): Promise<CastAnswer> => this.ask("votes", record);

  /** Where the vote of a voter stands, by the word of a node other than `otherThan`. */
  vote(voterId: string, otherThan: string | null = null): Promise<VoteAnswer> {
    const other = otherThan === null ? "" : `&other_than=${encodeURIComponent(otherThan)}`;
    return this.ask(`vote?voter=${encodeURIComponent(voterId)}${other}`);
  }

  /** The receipt file of a voter, as text: one that is not final yet too, if `received`. */
  receipt(voterId: string, received = false): Promise<string> {
    return this.text(`receipt?voter=${encodeURIComponent(voterId)}${received ? "&received=1" : ""}`);
  }

  enrol = (request: { invitation: string; public_key: string; voter_id?: string }): Promise<EnrolmentAnswer> =>
    this.ask("enrolments", JSON.stringify(request));

  private async ask<T>(path: string, body?: string): Promise<T> {
    const text = await this.text(path, body);
    const found = readJson(text);
    if (!isObject(found)) throw new NoAnswer("the answer is no JSON object");
    return found as T;
  }

  private async text(path: string, body?: string): Promise<string> {
    const sent = Date.now();
    const init: RequestInit = { signal: AbortSignal.timeout(this.answerMs), cache: "no-store" };
    if (body !== undefined) {
      Object.assign(init, { method: "POST", body, headers: { "content-type": "application/json" } });
    }
    let response: Response;
    let text: string;
    try {
      response = await this.fetch(`${API}/${path}`, init);
      this.clock.heard(response.headers.get("date"), sent);
      text = await response.text();
    } catch {
      throw new NoAnswer("no connection");
    }
    if (response.ok) return text;
    throw refusal(response, text);
  }
}

/** A text as JSON; null where it is none. */
function readJson(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    return null;
  }
}

function refusal(response: Response, text: string): Refused | NoAnswer {
  const found = readJson(text);
  const error = isObject(found) ? found["error"] : undefined;
  const code = isObject(error ?? null) ? (error as { code?: Json }).code : undefined;
  // A page of a proxy in between, not the server's word.
  if (typeof code !== "string") return new NoAnswer(`status ${response.status}`);
  return new Refused(response.status, code, retryAfter(response));
}
