/** The page verify.html: takes files, checks them, shows what comes out. */
import { Checker } from "./checker.ts";
import { element } from "./dom.ts";
import { LANGUAGES, type Language, type Words, preferred, wordsOf } from "./words.ts";

const NETWORK = /^[0-9a-f]{64}$/;

class Page {
  private words: Words = wordsOf(preferred(navigator.languages));
  private readonly network = element("input", {
    id: "network",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "80",
  });
  private readonly checker = new Checker(this.words, () => {
    const network = this.typedNetwork();
    return { network, anchor: network === null ? "none" : "network" };
  });

  constructor(private readonly root: HTMLElement) {
    this.network.addEventListener("change", () => void this.checker.check());
    this.draw();
  }

  /** Draws the page in its language, with what was found. */
  private draw(): void {
    const { words } = this;
    document.documentElement.lang = words.language;
    document.title = words.say("title");
    this.checker.show(words);
    this.root.replaceChildren(
      element("header", {}, this.languages()),
      element(
        "main",
        {},
        element("h1", {}, words.say("title")),
        element("p", {}, words.say("intro")),
        element("p", { class: "quiet" }, words.say("private")),
        ...this.checker.intake(),
        element("label", { for: "network" }, words.say("networkLabel")),
        this.network,
        element("p", { class: "quiet" }, words.say("networkHelp")),
        ...this.checker.outcome(),
      ),
    );
  }

  private languages(): HTMLElement {
    const buttons = LANGUAGES.map((language: Language) => {
      const words = wordsOf(language);
      const pressed = String(language === this.words.language);
      const made = element(
        "button",
        { type: "button", lang: language, "aria-pressed": pressed },
        words.say("language"),
      );
      made.addEventListener("click", () => {
        this.words = words;
        this.draw();
        this.root.querySelector<HTMLElement>(`button[lang=${language}]`)?.focus();
      });
      return made;
    });
    return element("nav", { "aria-label": this.words.say("languageLabel") }, ...buttons);
  }

  /** The network id that was typed; null for none, empty for one that is malformed. */
  private typedNetwork(): string | null {
    const typed = this.network.value.replace(/\s/g, "").toLowerCase();
    if (typed === "") return null;
    return NETWORK.test(typed) ? typed : "";
  }
}

new Page(document.getElementById("page")!);
