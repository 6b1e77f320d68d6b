/** Which characters names and texts may have: docs/audit.md, "Characters". */

type Ranges = readonly (readonly [number, number])[];

/** Ranges of code points, written as in the table: `0-1F 7F-9F`. */
function ranges(text: string): Ranges {
  return text.split(" ").map((range) => {
    const [first, last] = range.split("-") as [string, string?];
    return [Number.parseInt(first, 16), Number.parseInt(last ?? first, 16)] as const;
  });
}

const PLANE_ENDS = Array.from({ length: 17 }, (_, plane) => {
  const end = plane.toString(16).replace(/^0$/, "");
  return `${end}FFFE-${end}FFFF`;
});

export const CHARACTERS = {
  CONTROL: ranges("0-1F 7F-9F 2028-2029"),
  INVISIBLE: ranges(
    "AD 34F 61C 115F-1160 17B4-17B5 200B 200E-200F 202A-202E 2060-206F 3164 FDD0-FDEF FEFF FFA0 FFF0-FFFC " +
      `13430-13440 1BCA0-1BCA3 1D173-1D17A E0000-E00FF E01F0-E0FFF ${PLANE_ENDS.join(" ")}`,
  ),
  JOINERS: ranges("200C-200D"),
  MONGOLIAN_SELECTORS: ranges("180B-180F"),
  SELECTORS: ranges("FE00-FE0F"),
  IDEOGRAPH_SELECTORS: ranges("E0100-E01EF"),
  BLANKS: ranges("20 A0 1680 2000-200A 202F 205F 2800 3000"),
  JOINING: ranges(
    "620-109F 1780-17B3 17B6-180A 1810-18AF 1900-1C7F 1CD0-1CFF A800-A95F A980-AB2F ABC0-ABFF FB50-FDCF " +
      "FDF0-FDFF FE70-FEFC 10A00-11FFF 1E900-1E95F",
  ),
  MONGOLIAN: ranges("1800-180A 1810-18AF"),
  SELECTABLE: ranges("1000-109F A840-A87F"),
  IDEOGRAPHS: ranges("3400-4DBF 4E00-9FFF F900-FAFF 20000-2FFFD 30000-3FFFD"),
  PICTURES: ranges("A9 AE 203C 2049 2100-214F 2190-27FF 2900-2BFF 3030 303D 3297 3299 1F000-1FAFF"),
} satisfies Record<string, Ranges>;

const C = CHARACTERS;
const within = (point: number, set: Ranges): boolean => set.some(([first, last]) => first <= point && point <= last);
const FORBIDDEN: Ranges = [...C.CONTROL, ...C.INVISIBLE];
const UNSEEN: Ranges = [...C.JOINERS, ...C.MONGOLIAN_SELECTORS, ...C.SELECTORS, ...C.IDEOGRAPH_SELECTORS];

/** The characters that may stand only right after some others: which, and after which. */
const AFTER: readonly (readonly [Ranges, Ranges])[] = [
  [[[0x200c, 0x200c]], C.JOINING],
  [[[0x200d, 0x200d]], [...C.JOINING, ...C.PICTURES, ...C.SELECTORS]],
  [C.MONGOLIAN_SELECTORS, C.MONGOLIAN],
  [C.SELECTORS, [...C.IDEOGRAPHS, ...C.SELECTABLE, ...C.PICTURES]],
  [C.IDEOGRAPH_SELECTORS, C.IDEOGRAPHS],
];

const points = (text: string): number[] => Array.from(text, (character) => character.codePointAt(0)!);

/** How many code points a text has. */
export function codePoints(text: string): number {
  let count = text.length;
  for (let at = 0; at < text.length; at++) if ((text.charCodeAt(at) & 0xfc00) === 0xd800) count--;
  return count;
}

/** Whether a text is a name: one line, with the allowed characters only, no blank at its ends. */
export function isName(text: string): boolean {
  if (/^[!-~]([ -~]*[!-~])?$/.test(text)) return true;
  const found = points(text);
  if (found.length === 0 || within(found[0]!, C.BLANKS) || within(found.at(-1)!, C.BLANKS)) return false;
  return found.every(
    (point, index) =>
      !within(point, FORBIDDEN) &&
      AFTER.every(([set, before]) => !within(point, set) || (index > 0 && within(found[index - 1]!, before))),
  );
}

/** The same for a text on one line that may be empty. */
export const isLine = (text: string): boolean => text === "" || isName(text);

/** The same for a text that may have several lines. */
export const isText = (text: string): boolean => isLine(text.replaceAll("\n", "x"));

/** A name as it looks: without what cannot be seen, and each run of blanks as one space. */
export function skeleton(text: string): string {
  if (/^[!-~]*$/.test(text)) return text;
  const seen = points(text).filter((point) => !within(point, UNSEEN));
  return String.fromCodePoint(...seen.map((point) => (within(point, C.BLANKS) ? 0x20 : point))).replace(/ +/g, " ");
}

/** Whether two of these names look the same. */
export const lookAlike = (names: readonly string[]): boolean => new Set(names.map(skeleton)).size < names.length;

/** A stranger's text for a page: characters that steer or hide are written as JSON writes them. */
export function shown(text: string): string {
  const acts = (point: number) => within(point, FORBIDDEN) || (point >= 0xd800 && point <= 0xdfff);
  return Array.from(text, (character) => {
    const point = character.codePointAt(0)!;
    return acts(point) ? `\\u{${point.toString(16)}}` : character;
  }).join("");
}
