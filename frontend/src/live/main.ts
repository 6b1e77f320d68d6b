/**
 * Pages with `<main data-live>` show the newest state while a reader sees them.
 *
 * `#live-note` gets the sentence of its `data-silent` after ten seconds without news; `{time}` in it is when the last
 * ones came. The value of `data-live` is the id of the event whose state the page shows. Without JavaScript a page stays as it was loaded.
 */
import { addLocalTimes } from "../page/local_times.ts";
import { trustedHtml } from "../page/trusted.ts";
import { whileSeen } from "../api/state_stream.ts";
import { Live } from "./live.ts";
import { morph } from "./morph.ts";

const main = document.querySelector<HTMLElement>("main[data-live]");
const note = document.getElementById("live-note");
const language = document.documentElement.lang;
const locale = language === "en" ? "en-GB" : language;

async function refresh(signal: AbortSignal): Promise<void> {
  const response = await fetch(location.href, { signal, headers: { Accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(trustedHtml(await response.text()), "text/html");
  const content = fresh.querySelector("main[data-live]");
  if (content === null || signal.aborted) return;
  addLocalTimes(content);
  document.title = fresh.title;
  morph(main!, content);
}

function silent(since: Date | null): void {
  if (note === null) return;
  const time = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
  note.textContent = since === null ? "" : (note.dataset.silent ?? "").replace("{time}", time.format(since));
}

addLocalTimes(document);
if (main !== null) {
  let event = main.dataset.live ?? ""; // of the page as it was loaded
  whileSeen(() => {
    const live = new Live("/api/v1", { refresh, silent }, event);
    event = "";
    return () => live.end();
  });
}
