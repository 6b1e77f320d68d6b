/**
 * The reader's local time beside each time of an election in another zone.
 *
 * `<time datetime>` carries the offset of the election's zone. `<html data-local-time>` has the sentence, with places
 * for `{time}` and `{zone}`; it is empty on the projector, whose readers may be anywhere. Without JavaScript a page
 * shows the election's time alone.
 */

const DAY = { weekday: "short", day: "numeric", month: "short" } as const;

/** Puts the local time into each `<time>` below `root` whose offset is not that of this device. */
export function addLocalTimes(root: ParentNode): void {
  const { lang, dataset } = document.documentElement;
  const sentence = dataset.localTime ?? "";
  if (sentence === "") return;
  for (const shown of root.querySelectorAll<HTMLTimeElement>("time[datetime]")) {
    const said = localTime(shown.dateTime, lang, sentence);
    if (said === null) continue;
    const added = shown.ownerDocument.createElement("span");
    added.className = "local-time";
    added.textContent = ` ${said}`;
    shown.append(added);
  }
}

/**
 * The sentence with the local time of a moment; null where this device has the same offset from UTC then.
 *
 * @param written such as `2027-05-31T12:00:00+07:00`; on the same day the sentence has the hour alone.
 */
export function localTime(written: string, language: string, sentence: string): string | null {
  const moment = new Date(written);
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(written) ?? [];
  if (Number.isNaN(moment.getTime()) || hours === undefined) return null;
  const theirs = Number(`${sign}1`) * (60 * Number(hours) + Number(minutes));
  const ours = -moment.getTimezoneOffset();
  if (ours === theirs) return null;
  const day = new Date(moment.getTime() + 60_000 * ours).toISOString().slice(0, 10);
  const format = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, {
    ...(written.startsWith(day) ? {} : DAY),
    hour: "2-digit",
    minute: "2-digit",
    ...(moment.getUTCSeconds() === 0 ? {} : { second: "2-digit" }),
  });
  return sentence.replace("{time}", format.format(moment)).replace("{zone}", `UTC${offset(ours)}`);
}

/** `+07:00` for 420 minutes. */
function offset(minutes: number): string {
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return (minutes < 0 ? "-" : "+") + [hours, rest].map((part) => String(part).padStart(2, "0")).join(":");
}
