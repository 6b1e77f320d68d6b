/** The worker that encrypts ballots: a file of its own, which only the booth of a secret election loads. */
import { type WorkerQuestion, workerTasks } from "./worker_tasks.ts";

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<WorkerQuestion>) => void) | null;
  postMessage(message: unknown): void;
};
const answer = workerTasks(
  (count) => crypto.getRandomValues(new Uint8Array(count)),
  (one) => scope.postMessage(one),
);
scope.onmessage = ({ data }) => answer(data);
