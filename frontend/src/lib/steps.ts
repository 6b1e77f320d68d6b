/** Long work in small steps, so that a page can draw between them. */

/** Work that stops after each few milliseconds, and returns what comes out. */
export type Steps<T> = Generator<void, T>;

/** What comes out of work that is done at once. */
export function finished<T>(work: Steps<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/**
 * What a page does meanwhile, with the votes that are checked so far and the share of the file that is done; null where
 * the file has been read, and the shares of trustees are checked.
 */
export type Between = (votes: number, done: number | null) => Promise<void>;

/** The same, where it is not about the votes of a file. */
export const pausedIn = <T>({ step }: { step?: Between }, work: Steps<T>): Promise<T> =>
  paused(work, () => step?.(0, 0));

/** What comes out of work that waits for `pause` after each step. */
export async function paused<T>(work: Steps<T>, pause: () => Promise<void> | undefined): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    await pause();
  }
}
