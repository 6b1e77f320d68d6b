/** The countdown of a kiosk, which can be stopped (WCAG 2.2.1). */
import { html, nothing } from "lit-html";
import type { Scene, View } from "./view.ts";

export function kioskView({ kiosk, words }: Scene): View | typeof nothing {
  if (kiosk === null || (kiosk.countdown === null && !kiosk.stays)) return nothing;
  const leave = html`<button type="button" class="button booth-main" @click=${() => kiosk.leave()}>
    ${words.say("kiosk.leave")}
  </button>`;
  if (kiosk.countdown === null) {
    return html`<aside class="booth-kiosk">
      <p>${words.say(kiosk.isHeld ? "kiosk.held" : "kiosk.stayed")}</p>
      <div class="booth-buttons">${leave}</div>
    </aside>`;
  }
  const { why, seconds } = kiosk.countdown;
  const text = words.say(kiosk.sentence, { n: seconds });
  const stay = html`<button type="button" class="button button-quiet" @click=${() => kiosk.stay()}>
    ${words.say("kiosk.stay")}
  </button>`;
  // A touch anywhere ends the idle countdown; the button says so.
  const here = html`<button type="button" class="button booth-main">${words.say("kiosk.here")}</button>`;
  return html`<aside class="booth-kiosk booth-kiosk-${why}">
    <p>${text}</p>
    <div class="booth-buttons">${why === "after" ? [leave, stay] : kiosk.stays ? [leave, here] : here}</div>
  </aside>`;
}
