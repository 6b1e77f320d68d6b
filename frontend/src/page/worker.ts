/** The worker that encrypts ballots: a file of this server. */
const URL = "/static/secret_worker.js";

interface Factory {
  createPolicy(name: string, rules: { createScriptURL(): string }): { createScriptURL(text: string): unknown };
}

/** Starts it. It is loaded where ballots are secret alone. */
export function secretWorker(): Worker {
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  policy ??= factory?.createPolicy("votenet", { createScriptURL: () => URL });
  return new Worker((policy?.createScriptURL("") ?? URL) as string);
}

let policy: ReturnType<Factory["createPolicy"]> | undefined;
