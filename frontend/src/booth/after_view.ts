/** The screens behind "Cast my vote": on its way, received, final, read back, receipt. */
import { html, nothing } from "lit-html";
import type { Booth } from "./booth.ts";
import { fingerprint } from "../secret/documents.ts";
import { mannerOf } from "./choices.ts";
import { lieView } from "./message_view.ts";
import { type Scene, type View, chosen, heading } from "./view.ts";
import { type SentenceName, foreign } from "./words.ts";

export function castingView({ booth, words }: Scene): View {
  const way = booth.outcome!.way;
  const busy = way?.at === "waiting" && way.code !== "no-answer" && way.code !== "unreachable";
  const what =
    way?.at === "waiting"
      ? words.say(busy ? "casting.busy" : "casting.waiting", { n: way.seconds })
      : words.say("casting.sending");
  return html`${heading(words.say("casting.title"))}
    <p>${what}</p>
    ${
      way?.at === "waiting"
        ? html`<p class="booth-note">${words.show("code", { code: way.code })}</p>
            <div class="booth-buttons">
              <button type="button" class="button button-quiet" @click=${() => booth.hurry()}>
                ${words.say("casting.now")}
              </button>
            </div>`
        : nothing
    }
    <p>${words.say("casting.stay")}</p>`;
}

const TICK = html`<span class="booth-tick" aria-hidden="true">✓</span> `;

/** What the screen behind a vote is called: the name of a sentence. */
export function titleOf({ outcome, isUnsigned, cancelled }: Booth): SentenceName {
  if (cancelled === "proven") return "state.cancelledTitle";
  if (outcome!.final !== null) return "after.finalTitle";
  if (outcome!.inBlock !== null) return "after.chainTitle";
  return isUnsigned ? "after.unsignedTitle" : "after.receivedTitle";
}

/** What stands over the vote as another node has it: the name of a sentence. */
export const readBackTitle = ({ isSecret }: Booth): SentenceName => (isSecret ? "secret.readBack" : "after.readBack");

export function afterView(scene: Scene): View {
  const { booth, words } = scene;
  if (booth.cancelled === "proven") return cancelledView(scene);
  return html`<div class="booth-after">
      ${heading(booth.isUnsigned ? nothing : TICK, words.say(titleOf(booth)))} ${where(scene)}
    </div>
    ${booth.cancelled === "told" ? html`<p class="booth-careful">${words.say("state.cancelledTold")}</p>` : nothing}
    ${booth.isDone ? html`${readBackView(scene)} ${receiptView(scene)} ${anotherView(scene)}` : nothing}`;
}

/** Behind a vote in an election that its authority has ended. */
function cancelledView(scene: Scene): View {
  const { booth, words } = scene;
  return html`${heading(words.say(titleOf(booth)))}
    <p>${words.say("state.cancelled")}</p>
    <p>${words.say("after.cancelled")}</p>
    ${booth.isDone ? receiptView(scene) : nothing} ${anotherView(scene)}`;
}

/** The way to the next voter, where a device is passed on; a kiosk has its own. */
function anotherView({ booth, words, kiosk }: Scene): View | typeof nothing {
  if (kiosk !== null || booth.outcome!.answer === "no" || booth.step === "error") return nothing;
  return html`<p>
    <button type="button" class="booth-link" @click=${() => booth.startAgain()}>${words.say("after.another")}</button>
  </p>`;
}

/** Where the vote is: words, and the three steps of its way. */
function where(scene: Scene): View {
  const { booth, words } = scene;
  const { received, final, inBlock } = booth.outcome!;
  const all = booth.election.definition.nodes.length;
  if (inBlock !== null) return html`<p>${words.say("after.chain", { height: inBlock })}</p>`;
  const by =
    received === null || received.by.length === 0 ? null : words.say("after.received", { n: received.by.length, all });
  const step = (text: string, isDone: boolean) =>
    html`<li class=${isDone ? "is-done" : "is-next"}>
      <span class="booth-mark" aria-hidden="true">${isDone ? "✓" : "…"}</span>
      <span>${text} <span class="visually-hidden">(${words.say(isDone ? "after.done" : "after.underway")})</span></span>
    </li>`;
  const signed =
    final === null ? words.say("after.stepFinal") : words.say("after.final", { n: final.signedBy.length, all });
  return html`<ol class="booth-way" aria-label=${words.say("after.steps")}>
      ${step(words.say("after.stepSigned"), true)} ${step(by ?? words.say("after.stepReceived"), !booth.isUnsigned)}
      ${booth.election.named ? step(signed, final !== null) : nothing}
    </ol>
    <p>${final === null ? words.say("after.receivedWait") : `${words.say("after.checked")} ${finalMeans(scene)}`}</p>`;
}

/** What "final" holds against: with one to three named nodes every one of them must be honest. */
function finalMeans({ booth, words }: Scene): string {
  const { liars, definition } = booth.election;
  return liars > 0 ? words.say("after.finalMeans") : words.count("after.finalFew", definition.nodes.length);
}

function readBackView(scene: Scene): View {
  const { booth, words } = scene;
  const { readBack, unread, answer } = booth.outcome!;
  if (unread === "no-answer") return unreadView(scene);
  if (unread !== null) return lieView(scene, unread, "h2");
  if (readBack === null) return html`<p class="booth-note">${words.say("after.reading")}</p>`;
  const from = readBack.other
    ? words.show("after.readFrom", { node: readBack.node ?? "" })
    : words.say("after.readFromSame");
  if (booth.isSecret) return encryptedBack(scene, from);
  const answers = booth.contests.map(
    (contest, index) =>
      html`<div class="booth-answer">
        <div>
          <h3>${foreign(contest.title)}</h3>
          ${chosen(words, readBack.choices[index] ?? [], mannerOf(contest) === "ranked")}
        </div>
      </div>`,
  );
  return html`<section class="card" aria-labelledby="read-back">
    <h2 id="read-back" tabindex="-1">${words.say("after.readBack")}</h2>
    <p>${from}</p>
    ${answers} ${answered(scene, answer)}
  </section>`;
}

/** Nobody can ask a voter whether an encrypted vote is the right one. */
const encryptedBack = ({ words }: Scene, from: unknown): View =>
  html`<section class="card" aria-labelledby="read-back">
    <h2 id="read-back" tabindex="-1">${words.say("secret.readBack")}</h2>
    <p>${from} ${words.say("secret.same")}</p>
  </section>`;

function unreadView({ booth, words }: Scene): View {
  return html`<section class="card" aria-labelledby="read-back">
    <h2 id="read-back" tabindex="-1">${words.say("after.unreadTitle")}</h2>
    <p>${words.say("after.unread")}</p>
    <div class="booth-buttons">
      <button type="button" class="button button-quiet" @click=${() => booth.readAgain()}>${words.say("again")}</button>
    </div>
  </section>`;
}

function answered({ booth, words, kiosk }: Scene, answer: "yes" | "no" | null): View {
  if (answer === "yes") {
    return html`<p class="booth-good" id="answered" tabindex="-1"><strong>${words.say("after.yesDone")}</strong></p>`;
  }
  if (answer === "no") {
    return html`<div class="booth-bad">
      <h3 id="answered" tabindex="-1">${words.say("after.noTitle")}</h3>
      <p>${words.say("after.noHelp")}</p>
    </div>`;
  }
  const no = () => {
    kiosk?.hold(); // the organisers shall see the screen
    booth.answer("no");
  };
  return html`<div class="booth-buttons">
    <button type="button" class="button booth-main" @click=${() => booth.answer("yes")}>
      ${words.say("after.yes")}
    </button>
    <button type="button" class="button button-quiet" @click=${no}>${words.say("after.no")}</button>
  </div>`;
}

/** In an open election: the key that this browser made, to keep a copy of. */
function keyView(scene: Scene): View | typeof nothing {
  const { booth, words, kiosk } = scene;
  const key = kiosk === null ? booth.keyFile() : null;
  if (key === null) return nothing;
  const name = `key-${fileName(booth.outcome!.own.vote.voter_id)}.json`;
  return html`<p>${words.say("receipt.keyHelp")}</p>
    <div class="booth-buttons">
      <button type="button" class="button button-quiet" @click=${() => scene.keepFile(name, key)}>
        ${words.say("receipt.key")}
      </button>
    </div>`;
}

/** A voter id as a part of a file's name. */
const fileName = (voterId: string): string => voterId.replace(/[^\p{L}\p{N}_-]+/gu, "_").slice(0, 60);

/** The first 16 digits of a vote id in groups: enough to find the vote again, and short enough for a pencil. */
export const receiptCode = (id: string): string => (id.slice(0, 16).toUpperCase().match(/.{4}/g) ?? []).join("-");

function receiptView(scene: Scene): View {
  const { booth, words, kiosk } = scene;
  const { own, final } = booth.outcome!;
  const { definition } = booth.election;
  const name = `receipt-${fileName(own.vote.voter_id)}.json`;
  const row = (term: string, value: unknown) =>
    html`<div>
      <dt>${term}</dt>
      <dd>${value}</dd>
    </div>`;
  const keep =
    kiosk === null && final !== null
      ? html`<p>${words.say("receipt.help")}</p>
          <div class="booth-buttons">
            <button type="button" class="button button-quiet" @click=${() => scene.keepFile(name, final.receipt)}>
              ${words.say("receipt.keep")}
            </button>
            <a class="button button-quiet" href="/verify.html" target="_blank" rel="noopener"
              >${words.say("receipt.verify")}</a
            >
          </div>
          ${
            scene.kept === null
              ? nothing
              : html`<p class="booth-good">${words.show("receipt.kept", { file: scene.kept })}</p>`
          }`
      : nothing;
  return html`<section class="card" aria-labelledby="receipt">
    <h2 id="receipt">${words.say("receipt.title")}</h2>
    ${keep}
    <h3>${words.say("receipt.write")}</h3>
    <dl class="booth-facts">
      ${row(words.say("receipt.voter"), foreign(own.vote.voter_id))}
      ${row(words.say("receipt.code"), html`<code>${receiptCode(own.id)}</code>`)}
      ${row(words.say("receipt.time"), words.time(own.vote.time, definition.time_zone))}
      ${
        own.vote.ballot === undefined
          ? nothing
          : row(words.say("secret.fingerprint"), html`<code>${fingerprint(own.vote.ballot)}</code>`)
      }
    </dl>
    ${keyView(scene)}
  </section>`;
}
