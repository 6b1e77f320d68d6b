/** Enrolment: the code is made and kept here, and the server gets a public key alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Api } from "../src/api/client.ts";
import { Pause } from "../src/booth/pause.ts";
import en from "../src/catalogue/enrol.en.json";
import id from "../src/catalogue/enrol.id.json";
import { type EnrolScreen, Enrolment, type Kept, newCode, shownCode } from "../src/enrol/enrol.ts";
import * as votenet from "../src/lib/index.ts";

const UUID = "2222222222222A";
const INVITATION = newCode(new Uint8Array(21).fill(7));

class NoPause extends Pause {
  override wait(): Promise<void> {
    return Promise.resolve();
  }
}

function shelf(): Kept {
  let held: string | null = null;
  return { get: () => held, put: (text) => (held = text), drop: () => (held = null) };
}

const screenOf = ({ screen }: Enrolment): EnrolScreen => screen;
const answer = (status: number, body: object) => new Response(JSON.stringify(body), { status });

function enrolment(answers: (() => Response)[], kept = shelf()): { made: Enrolment; bodies: string[] } {
  const bodies: string[] = [];
  const api = new Api((_, init) => {
    bodies.push(String(init?.body));
    return Promise.resolve().then(answers.shift()!);
  });
  return { made: new Enrolment(api, UUID, kept, () => undefined, new NoPause()), bodies };
}

test("a new code is a voting code, and each one is another", () => {
  const codes = Array.from({ length: 200 }, () => newCode());
  for (const code of codes) assert.ok(votenet.readCode(shownCode(code)).ok);
  assert.equal(new Set(codes).size, codes.length);
});

test("the key is sent until it is taken, the same one behind a reload, and the code never", async () => {
  const kept = shelf();
  const lost = () => {
    throw new TypeError("no connection");
  };
  const busy = () => answer(503, { error: { code: "unreachable", message: "", next: "" } });
  const taken = () => answer(200, { voter_id: "ann", state: "waiting" });
  const first = enrolment([], kept).made;
  first.start(shownCode(INVITATION).toLowerCase());
  const code = first.screen.kind === "keep" ? first.screen.code : assert.fail();
  const { made, bodies } = enrolment([lost, busy, taken], kept);
  made.start(null);
  assert.deepEqual(made.screen, { kind: "keep", code });
  await made.send();
  assert.deepEqual(made.screen, { kind: "done", voterId: "ann" });
  const key = votenet.toHex(votenet.publicKey(votenet.seedOfCode(code, UUID)));
  assert.deepEqual([...new Set(bodies)], [JSON.stringify({ invitation: INVITATION, public_key: key })]);
  assert.equal(kept.get(), null, "the code is no longer on the device");
});

test("whoever has another invitation forgets the one that was left on this device", () => {
  const kept = shelf();
  enrolment([], kept).made.start(INVITATION);
  const { made } = enrolment([], kept);
  made.start(null);
  assert.equal(made.screen.kind, "keep");
  made.again();
  assert.deepEqual(made.screen, { kind: "invitation", wrong: null });
  assert.equal(kept.get(), null);
});

test("a key that is being sent is sent no more once another invitation begins, and shows nothing then", async () => {
  const second = newCode(new Uint8Array(21).fill(9));
  for (const isTaken of [true, false]) {
    const kept = shelf();
    let answered: (taken: boolean) => void = () => undefined;
    const first = new Promise<Response>((resolve, reject) => {
      answered = (taken) => (taken ? resolve(answer(200, { voter_id: "ann" })) : reject(new TypeError("away")));
    });
    const bodies: string[] = [];
    const api = new Api((_, init) => {
      bodies.push(String(init?.body));
      return bodies.length === 1 ? first : Promise.resolve(answer(200, { voter_id: "bob" }));
    });
    const made = new Enrolment(api, UUID, kept, () => undefined, new NoPause());
    made.start(INVITATION);
    const sending = made.send();
    made.start(INVITATION);
    assert.equal(screenOf(made).kind, "sending", "the same link once more changes nothing");
    made.start(second);
    const bobs = screenOf(made);
    answered(isTaken);
    await sending;
    assert.deepEqual(made.screen, bobs);
    assert.equal(kept.get(), `${second} ${bobs.kind === "keep" ? bobs.code : ""}`, "his code is still kept");
    await made.send();
    assert.deepEqual(made.screen, { kind: "done", voterId: "bob" });
    assert.deepEqual(
      bodies.map((body) => (JSON.parse(body) as { invitation: string }).invitation),
      [INVITATION, second],
    );
  }
});

test("an invitation that ends while its key waits to be sent again is not sent", async () => {
  const waits = new Pause();
  let asked = 0;
  let waiting: () => void = () => undefined;
  const isWaiting = new Promise<void>((resolve) => (waiting = resolve));
  const api = new Api(() => {
    asked++;
    return Promise.reject(new TypeError("away"));
  });
  const made = new Enrolment(
    api,
    UUID,
    shelf(),
    () => made.screen.kind === "sending" && made.screen.seconds !== null && waiting(),
    waits,
  );
  made.start(INVITATION);
  const sending = made.send();
  await isWaiting;
  made.again();
  await sending;
  assert.deepEqual([made.screen.kind, asked], ["invitation", 1]);
});

test("a wrong invitation is named, and a refused one says why", async () => {
  const { made } = enrolment([() => answer(409, { error: { code: "invitation-used", message: "", next: "" } })]);
  made.start(null);
  made.type(INVITATION.slice(1));
  assert.equal(made.screen.kind === "invitation" && made.screen.wrong!.length, 25);
  made.type(`${INVITATION.slice(0, 12)}Z${INVITATION.slice(13)}`);
  assert.equal(made.screen.kind === "invitation" && made.screen.wrong!.group, 3);
  made.type(INVITATION);
  await made.send();
  assert.deepEqual(made.screen, { kind: "refused", code: "invitation-used" });
});

test("both catalogues have the same sentences with the same places", () => {
  type Tree = { [name: string]: string | Tree };
  const flat = (tree: Tree): unknown[] =>
    Object.entries(tree).map(([name, value]) => [
      name,
      typeof value === "string" ? (value.match(/\{\w+\}/g) ?? []).sort() : flat(value),
    ]);
  assert.deepEqual(flat(en), flat(id));
});
