/** The screens that ask who votes. */
import { html, nothing } from "lit-html";
import { codeField, valueOf } from "./code_field.ts";
import { type Scene, type View, heading, notice } from "./view.ts";

export function codeView(scene: Scene): View {
  const { booth, words } = scene;
  const { organiser } = booth.election.definition;
  const isWrong = booth.notice !== null && !booth.entry.isChecking;
  const { notice: said } = booth;
  return html`${heading(words.say("identity.codeTitle"))}
    ${codeField({
      id: "code",
      hint: words.say("identity.codeHint"),
      label: words.say("identity.codeLabel"),
      button: words.say("identity.continue"),
      said: said === null ? null : words.show(said.name, said.places),
      isWrong,
      isBusy: booth.entry.isChecking,
      submit: (typed) => void booth.typeCode(typed),
    })}
    <details>
      <summary>${words.say("identity.noCard")}</summary>
      <p>
        ${organiser === "" ? words.say("identity.noCardHelpPlain") : words.show("identity.noCardHelp", { organiser })}
      </p>
    </details>`;
}

export function idView(scene: Scene): View {
  const { booth, words } = scene;
  const submit = (event: Event) => {
    event.preventDefault();
    void booth.typeId(valueOf(event));
  };
  return html`${heading(words.say("identity.idTitle"))}
    <form class="booth-form" novalidate @submit=${submit}>
      <p id="id-hint">${words.say("identity.idHint")}</p>
      <label for="voter-id">${words.say("identity.idLabel")}</label>
      <input
        id="voter-id"
        name="typed"
        autocomplete="off"
        autocapitalize="off"
        autocorrect="off"
        spellcheck="false"
        enterkeyhint="go"
        aria-invalid=${booth.notice === null ? "false" : "true"}
        aria-describedby=${booth.notice === null ? "id-hint" : "booth-notice id-hint"}
      />
      ${notice(scene)}
      ${booth.hasRoll ? nothing : html`<p class="booth-careful">${words.say("identity.openWarning")}</p>`}
      <button type="submit" class="button booth-main">${words.say("identity.continue")}</button>
    </form>`;
}

export function welcomeView(scene: Scene): View {
  const { booth, words } = scene;
  const voter = booth.voter!;
  const { time_zone: zone } = booth.election.definition;
  const weight = voter.weight === 1 ? nothing : html`<p>${words.say("identity.weight", { n: voter.weight })}</p>`;
  const { closes } = booth;
  return html`${heading(words.show("identity.welcome", { name: voter.id }))} ${weight}
    <p>${words.count("ahead", booth.contests.length)}</p>
    ${closes === null ? nothing : html`<p>${words.say("closes", { time: words.time(closes, zone) })}</p>`}
    <div class="booth-buttons">
      <button type="button" class="button booth-main" @click=${() => booth.go({ kind: "contest", index: 0 })}>
        ${words.say("identity.start")}
      </button>
      <button type="button" class="button button-quiet" @click=${() => booth.startAgain()}>
        ${words.say("identity.notMe")}
      </button>
    </div>`;
}
