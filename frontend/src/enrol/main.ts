/** Starts the page on which a member makes a key of their own. */
import { type TemplateResult, html, nothing, render } from "lit-html";
import { keyed } from "lit-html/directives/keyed.js";
import { Api } from "../api/client.ts";
import style from "../booth/booth.css";
import { codeField, toFault } from "../booth/code_field.ts";
import { keepFile, takenCode, useStyle } from "../booth/page_parts.ts";
import { Sentences } from "../booth/sentences.ts";
import { shelfOf } from "../booth/store.ts";
import en from "../catalogue/enrol.en.json";
import id from "../catalogue/enrol.id.json";
import { type EnrolScreen, Enrolment, shownCode } from "./enrol.ts";

const NAME = "votenet/enrol";

class Page {
  private readonly words = new Sentences(document.documentElement.lang, { en, id });
  private readonly enrolment: Enrolment;
  private readonly status = document.createElement("p");
  private readonly stage = document.createElement("div");
  /** That the file of a code was saved. */
  private saved: { code: string; said: string } | null = null;
  private kind = "";

  constructor(private readonly root: HTMLElement) {
    const shelf = shelfOf(() => sessionStorage);
    const kept = {
      get: () => shelf.get(NAME),
      put: (text: string) => shelf.put(NAME, text),
      drop: () => shelf.drop(NAME),
    };
    this.enrolment = new Enrolment(new Api(), root.dataset["uuid"] ?? "", kept, () => this.draw());
    this.status.setAttribute("role", "status");
    this.status.className = "visually-hidden";
    root.replaceChildren(this.status, this.stage);
    const code = takenCode();
    window.addEventListener("hashchange", () => {
      const next = takenCode();
      if (next !== null) this.enrolment.start(next);
    });
    this.enrolment.start(code);
  }

  private draw(): void {
    const { screen } = this.enrolment;
    const isNew = screen.kind !== this.kind;
    const isFirst = this.kind === "";
    this.kind = screen.kind;
    render(keyed(screen.kind, this.view(screen)), this.stage);
    this.root.dataset["step"] = screen.kind;
    const title = this.root.querySelector("h1");
    document.title = title?.textContent ?? this.words.say("page");
    if (isNew && !isFirst) title?.focus();
    this.status.textContent = this.said(screen);
    if (screen.kind === "invitation" && screen.wrong !== null)
      toFault(this.root.querySelector<HTMLInputElement>("#invitation")!, screen.wrong);
  }

  private said(screen: EnrolScreen): string {
    const { words } = this;
    if (screen.kind === "invitation" && screen.wrong !== null) return this.fault(screen.wrong);
    if (screen.kind === "sending") {
      return screen.seconds === null ? words.say("sending") : words.say("waiting", { n: screen.seconds });
    }
    return "";
  }

  private fault(wrong: { group: number; text: string; length: number }): string {
    const { group, text, length } = wrong;
    return group === 0 ? this.words.say("length", { n: length }) : this.words.say("group", { group, text });
  }

  private view(screen: EnrolScreen): TemplateResult {
    switch (screen.kind) {
      case "invitation":
        return this.invitationView(screen.wrong);
      case "keep":
      case "sending":
        return this.keepView(screen);
      case "done":
        return this.doneView(screen.voterId);
      case "refused":
        return this.refusedView(screen.code);
    }
  }

  private invitationView(wrong: Extract<EnrolScreen, { kind: "invitation" }>["wrong"]): TemplateResult {
    const { words } = this;
    return html`<h1 tabindex="-1">${words.say("title")}</h1>
      <p>${words.say("why")}</p>
      ${codeField({
        id: "invitation",
        hint: words.say("invitationHint"),
        label: words.say("invitationLabel"),
        button: words.say("make"),
        said: wrong === null ? null : this.fault(wrong),
        isWrong: wrong !== null,
        isBusy: false,
        submit: (typed) => this.enrolment.type(typed),
      })}`;
  }

  private keepView(screen: Extract<EnrolScreen, { kind: "keep" | "sending" }>): TemplateResult {
    const { words } = this;
    const code = shownCode(screen.code);
    const save = () => {
      const title = this.root.dataset["title"] ?? "";
      const url = new URL("/vote", location.href).href;
      const file = words.say("file");
      keepFile(file, words.say("fileText", { title, code, url }), "text/plain");
      const said = words.say("saved", { file });
      this.saved = { code, said };
      this.draw();
      this.status.textContent = said;
    };
    const wait = this.said(screen);
    return html`<h1 tabindex="-1">${words.say("keepTitle")}</h1>
      <p class="booth-own-code"><span class="visually-hidden">${words.say("codeName")}: </span><code>${code}</code></p>
      <p>${words.say("keep")}</p>
      <div class="booth-buttons">
        <button type="button" class="button button-quiet" @click=${() => print()}>${words.say("print")}</button>
        <button type="button" class="button button-quiet" @click=${save}>${words.say("save")}</button>
      </div>
      ${this.saved?.code === code ? html`<p class="booth-good">${this.saved.said}</p>` : nothing}
      ${
        screen.kind === "sending"
          ? html`<p class="booth-careful">${wait}</p>`
          : html`<div class="booth-buttons">
              <button type="button" class="button booth-main" @click=${() => void this.enrolment.send()}>
                ${words.say("send")}
              </button>
            </div>`
      }
      ${screen.kind === "sending" ? html`<p class="booth-note">${words.say("notMineSent")}</p>` : nothing}
      <p>
        <button type="button" class="booth-link" @click=${() => this.enrolment.again()}>${words.say("notMine")}</button>
      </p>`;
  }

  private doneView(voterId: string): TemplateResult {
    const { words } = this;
    const isBefore = "before" in this.root.dataset;
    return html`<div class="booth-after">
        <h1 tabindex="-1">${words.say("doneTitle")}</h1>
        <p>${words.show(isBefore ? "doneBefore" : "done", { id: voterId })}</p>
        <p>${words.say("doneMore")}</p>
      </div>
      ${
        isBefore
          ? nothing
          : html`<div class="booth-buttons"><a class="button button-quiet" href="/vote">${words.say("vote")}</a></div>`
      }`;
  }

  private refusedView(code: string): TemplateResult {
    const { words } = this;
    const name = `refused.${code}`;
    return html`<h1 tabindex="-1">${words.say("refusedTitle")}</h1>
      <p>${words.say(words.has(name) ? name : "refused.other")}</p>
      <p class="booth-note">${words.show("code", { code })}</p>
      <div class="booth-buttons">
        <button type="button" class="button button-quiet" @click=${() => this.enrolment.again()}>
          ${words.say("again")}
        </button>
      </div>`;
  }
}

useStyle(style);
const root = document.getElementById("enrol");
if (root !== null) new Page(root);
