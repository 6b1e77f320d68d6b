/** What the refusals of a vote mean for its signed bytes. */
import type { Refused } from "../api/client.ts";
import type { InForce } from "../lib/amendment.ts";

/** Codes that another try may mend. */
const AGAIN = new Set([
  "unreachable",
  "busy",
  "rate-limited",
  "too-many",
  "too-slow",
  "pool-full",
  "storage-failed",
  "too-many-connections",
  "idle-timeout",
]);
/** Codes of bytes that no node takes, today or later. A key that was replaced does not come back. */
const NEVER = new Set([
  ...["bad-choices", "bad-signature", "bad-vote", "unknown-candidate", "unknown-credential", "vote-too-large"],
  ...["wrong-election", "wrong-key"],
]);

/** Whether nodes or the server were busy: it is no answer to this vote. */
export const isBusy = (error: Refused): boolean => error.status >= 500 || AGAIN.has(error.code);

/**
 * Whether a refused vote can never be counted. The end of voting, or of the election, is believed where the authority
 * has signed it: on the server's word alone the bytes are not dropped. `now`: Unix seconds.
 */
export function isForGood(code: string, force: InForce, now: number): boolean {
  if (code === "closed") return force.closes !== null && now >= force.closes;
  return code === "cancelled" ? force.cancelled : NEVER.has(code);
}
