/** The screens on which nothing can be chosen: the hours, a used code, trouble, a lie. */
import { html, nothing } from "lit-html";
import { type Scene, type View, heading } from "./view.ts";
import type { Lie, Screen } from "./screen.ts";
import type { SentenceName } from "./words.ts";

/** A way to another page; a kiosk shows none, for the next voter would find that page. */
const link = ({ kiosk }: Scene, href: string, text: string): View | typeof nothing =>
  kiosk === null ? html`<a class="button button-quiet" href=${href}>${text}</a>` : nothing;

export function usedView(scene: Scene, screen: Extract<Screen, { kind: "used" }>): View {
  const { booth, words } = scene;
  const { first, otherTab, unlike } = screen;
  const zone = booth.election.definition.time_zone;
  const { time, vote } = first;
  const when = time === null ? words.say("used.plain") : words.say("used.when", { time: words.time(time, zone) });
  return html`${heading(words.say(booth.hasRoll ? "used.title" : "used.titleId"))}
    <p>${when} ${otherTab ? words.say("used.otherTab") : nothing}</p>
    ${unlike ? html`<p class="booth-careful">${words.say("used.unlike")}</p>` : nothing}
    <p>${words.say("used.ifYou")}</p>
    <p>${words.say("used.ifNot")}</p>
    <div class="booth-buttons">
      ${
        vote === null
          ? nothing
          : html`<button type="button" class="button booth-main" @click=${() => booth.see(vote)}>
              ${words.say("used.see")}
            </button>`
      }
      ${link(scene, "/check", words.say("state.check"))}
      <button type="button" class="button button-quiet" @click=${() => booth.startAgain()}>
        ${words.say("notYou")}
      </button>
    </div>`;
}

export function gateView(scene: Scene, screen: Extract<Screen, { kind: "before" | "closed" | "cancelled" }>): View {
  const { booth, words } = scene;
  const { kind } = screen;
  const unsent = kind === "closed" && booth.picks.some((pick) => pick.choices.length > 0);
  return html`${heading(words.say(`state.${kind}Title`))}
    <p>${gateText(scene, screen)}</p>
    ${unsent ? html`<p class="booth-careful">${words.say("state.closedUnsent")}</p>` : nothing}
    ${
      kind === "before"
        ? nothing
        : html`<div class="booth-buttons">
            ${link(scene, "/results", words.say("state.results"))} ${link(scene, "/check", words.say("state.check"))}
          </div>`
    }`;
}

function gateText({ booth, words }: Scene, screen: Parameters<typeof gateView>[1]): string {
  if (screen.kind === "cancelled") return words.say(screen.proven ? "state.cancelled" : "state.cancelledTold");
  const { time_zone: zone, opens } = booth.election.definition;
  const time = screen.kind === "before" ? opens : booth.closes;
  if (time === null) return words.say(`state.${screen.kind}Plain`);
  return words.say(`state.${screen.kind}`, { time: words.time(time, zone) });
}

export function refusedView(
  { booth, words, kiosk }: Scene,
  { code, kept }: Extract<Screen, { kind: "refused" }>,
): View {
  // Key and credential follow from one code.
  const name = `refusal.${code === "unknown-credential" ? "wrong-key" : code}`;
  const what: SentenceName = words.has(name) ? name : "trouble.refused";
  const way = booth.outcome?.way;
  const seconds = kept && way?.at === "waiting" ? way.seconds : 0;
  // A kiosk keeps nothing for the voter before.
  const more =
    kiosk !== null
      ? html`<p class="booth-careful">${words.say("trouble.keptKiosk")}</p>`
      : html`<p class="booth-careful">${words.say("trouble.kept", { n: seconds })}</p>
          <div class="booth-buttons">
            <button type="button" class="button booth-main" @click=${() => booth.hurry()}>
              ${words.say("casting.now")}
            </button>
          </div>`;
  return html`${heading(words.say("trouble.refusedTitle"))}
    <p>${words.say(what)}</p>
    ${kept ? more : nothing}
    <p class="booth-note">${words.show("code", { code })}</p>
    <div class="booth-buttons">
      <button type="button" class="button button-quiet" @click=${() => booth.startAgain()}>
        ${words.say("notYou")}
      </button>
    </div>`;
}

export function troubleView({ words }: Scene, kind: "unreachable" | "defect"): View {
  return html`${heading(words.say(`trouble.${kind}Title`))}
    <p>${words.say(`trouble.${kind}`)}</p>
    <div class="booth-buttons">
      <button type="button" class="button button-quiet" @click=${() => location.reload()}>${words.say("again")}</button>
    </div>`;
}

/** Where the server says what no signature bears out; `level` is that of its heading. */
export function lieView({ words }: Scene, { what, detail }: Lie, level: "h1" | "h2" = "h1"): View {
  const title = words.say("lie.title");
  return html`<div class="booth-bad" role="alert">
    ${level === "h1" ? heading(title) : html`<h2 id="read-back" tabindex="-1">${title}</h2>`}
    <p>${words.say("lie.what")}</p>
    <p>${words.say(`lie.${what}`)}</p>
    <p class="booth-note">${words.show("code", { code: `${what} ${detail.slice(0, 16)}`.trim() })}</p>
  </div>`;
}
