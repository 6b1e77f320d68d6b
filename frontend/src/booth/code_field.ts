/** The field in which a code is typed: a voting code, or that of an invitation. */
import { html, nothing } from "lit-html";
import { grouped } from "./identity.ts";
import type { View } from "./view.ts";

interface CodeField {
  /** Of the field on its page. */
  id: string;
  hint: string;
  label: string;
  button: string;
  /** What stands behind the field; `isWrong`: what is wrong with the code. */
  said: unknown;
  isWrong: boolean;
  isBusy: boolean;
  submit(typed: string): void;
}

export function codeField(field: CodeField): View {
  const { id, said, isWrong } = field;
  const submit = (event: Event) => {
    event.preventDefault();
    field.submit(valueOf(event));
  };
  return html`<form class="booth-form" novalidate @submit=${submit}>
    <p id="code-hint">${field.hint}</p>
    <label for=${id}>${field.label}</label>
    <input
      id=${id}
      name="typed"
      class="booth-code"
      autocomplete="off"
      autocapitalize="characters"
      autocorrect="off"
      spellcheck="false"
      enterkeyhint="go"
      maxlength="80"
      aria-invalid=${isWrong ? "true" : "false"}
      aria-describedby=${isWrong ? "booth-notice code-hint" : "code-hint"}
      @input=${group}
    />
    ${said === null ? nothing : html`<p class="booth-notice" id="booth-notice">${said}</p>`}
    <button type="submit" class="button booth-main" aria-disabled=${field.isBusy ? "true" : "false"}>
      ${field.button}
    </button>
  </form>`;
}

/** What is typed in a form. */
export const valueOf = (event: Event): string =>
  ((event.target as HTMLFormElement).elements.namedItem("typed") as HTMLInputElement).value;

/** Sets the hyphens while a code is typed at its end. */
function group(event: Event): void {
  const input = event.target as HTMLInputElement;
  const isAtEnd = input.selectionStart === input.value.length;
  const isDeleting = (event as InputEvent).inputType?.startsWith("delete") === true;
  const text = grouped(input.value);
  if (isAtEnd && !isDeleting && text !== input.value) input.value = text;
}

/** Moves the focus to a code that is not right, with its wrong group marked; group 0 for the whole. */
export function toFault(input: HTMLInputElement, wrong: { typed: string; group: number }): void {
  input.value = grouped(wrong.typed);
  input.focus();
  const groups = input.value.split("-");
  const start = groups.slice(0, wrong.group - 1).reduce((sum, each) => sum + each.length + 1, 0);
  if (wrong.group > 0) input.setSelectionRange(start, start + (groups[wrong.group - 1]?.length ?? 0));
}
