/** What becomes of a question without an answer. */
import { NoAnswer, Refused } from "./client.ts";

/** Whether an error is that of a server which does not answer, or refuses. */
export const isTrouble = (error: unknown): error is NoAnswer | Refused =>
  error instanceof NoAnswer || error instanceof Refused;

/** The seconds that a refusal asks to wait; null for any other error. */
export const retryOf = (error: unknown): number | null => (error instanceof Refused ? error.retrySeconds : null);

/** What `ask` returns; null where the server does not answer, or refuses. */
export async function answered<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (isTrouble(error)) return null;
    throw error;
  }
}
