/** A secret ballot before it is cast: encrypted, shown by its fingerprint, cast or tested. */
import { html, nothing } from "lit-html";
import type { Screen } from "./screen.ts";
import { type Scene, type View, heading } from "./view.ts";

export const castButton = ({ booth, words }: Scene): View =>
  html`<div class="booth-buttons booth-buttons-cast">
    <button type="button" class="button booth-main booth-cast" @click=${() => booth.cast()}>
      ${words.say("review.cast")}
    </button>
  </div>`;

export function sealedView(scene: Scene): View {
  const { keys, threshold } = scene.booth.election.definition.trustees!;
  return html`<p class="booth-note">${scene.words.say("secret.what", { threshold, all: keys.length })}</p>
    ${sealingView(scene)}`;
}

function sealingView(scene: Scene): View {
  const { booth, words, kiosk } = scene;
  const { ballot, fingerprint, done, all, isFailed } = booth.sealing!;
  if (isFailed) {
    return html`<p class="booth-careful">${words.say("secret.failed")}</p>
      <div class="booth-buttons">${quiet(words.say("again"), () => booth.seal())}</div>`;
  }
  if (ballot === null) {
    const making = words.say("secret.making");
    return html`<p>${making}</p>
      <progress max=${all} value=${done} aria-label=${making}></progress>`;
  }
  return html`<p>${words.say("secret.sealed")}</p>
    ${mark(scene, fingerprint)} ${castButton(scene)}
    ${
      kiosk === null
        ? html`<details>
            <summary>${words.say("secret.more")}</summary>
            <p>${words.say("secret.testHelp")}</p>
            <div class="booth-buttons">${quiet(words.say("secret.test"), () => booth.test())}</div>
          </details>`
        : nothing
    }`;
}

/** The fingerprint of a ballot. */
const mark = ({ words }: Scene, fingerprint: string): View =>
  html`<p>${words.say("secret.fingerprint")}: <code>${fingerprint}</code></p>`;

const quiet = (text: string, press: () => void): View =>
  html`<button type="button" class="button button-quiet" @click=${press}>${text}</button>`;

export function testedView(scene: Scene, { file, fingerprint }: Extract<Screen, { kind: "tested" }>): View {
  const { booth, words } = scene;
  return html`${heading(words.say("secret.testedTitle"))}
    <p class="booth-careful">${words.say("secret.tested")}</p>
    ${mark(scene, fingerprint)}
    <p>${words.say("secret.testedHelp")}</p>
    <div class="booth-buttons">
      ${quiet(words.say("secret.keep"), () => scene.keepFile("tested-ballot.json", file))}
      <a class="button button-quiet" href="/verify.html" target="_blank" rel="noopener"
        >${words.say("receipt.verify")}</a
      >
    </div>
    <details>
      <summary>${words.say("secret.asText")}</summary>
      <textarea
        class="booth-text-file"
        readonly
        rows="8"
        aria-label=${words.say("secret.asText")}
        .value=${file}
      ></textarea>
    </details>
    <div class="booth-buttons">
      <button type="button" class="button booth-main" @click=${() => booth.go({ kind: "review" })}>
        ${words.say("secret.goOn")}
      </button>
    </div>`;
}
