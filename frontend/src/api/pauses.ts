/** How long to wait before a question is asked again. */
const SECONDS = [1, 2, 4, 8, 15, 30];
/** Longer than this no server keeps a page waiting. */
const MOST_SECONDS = 300;

/** Seconds before the next try: more with each one, and not fewer than the server asks for (`Retry-After`). */
export const secondsBehind = (tries: number, asked: number | null = null): number =>
  Math.max(SECONDS[Math.min(tries, SECONDS.length) - 1]!, Math.min(asked ?? 0, MOST_SECONDS));

/** The seconds that an answer asks to wait; null where it asks for none. */
export function retryAfter({ headers }: Response): number | null {
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds : null;
}
