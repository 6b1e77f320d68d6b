/** The page that waits for the nodes of its election: it loads itself again once one of them answers. */
import { addLocalTimes } from "../page/local_times.ts";

const PAUSE = 2000; // milliseconds between two looks

async function look(): Promise<void> {
  try {
    const answer = await fetch("/api/v1/state", { cache: "no-store" });
    if (answer.ok) return location.reload();
  } catch {
    // The server itself is away: it may come back.
  }
  setTimeout(() => void look(), PAUSE);
}

addLocalTimes(document);
void look();
