/** What the booth keeps on the device, and where. */

/** A shelf for texts; one that a browser forbids is held in memory. */
export interface Shelf {
  get(name: string): string | null;
  put(name: string, text: string): void;
  drop(name: string): void;
}

export function shelfOf(storage: () => Storage): Shelf {
  const memory = new Map<string, string>();
  const tried = <T>(work: (found: Storage) => T): T | undefined => {
    try {
      return work(storage());
    } catch {
      return undefined; // cookies are off, or it is full
    }
  };
  return {
    get: (name) => tried((found) => found.getItem(name)) ?? memory.get(name) ?? null,
    put(name, text) {
      memory.set(name, text);
      tried((found) => found.setItem(name, text));
    },
    drop(name) {
      memory.delete(name);
      tried((found) => found.removeItem(name));
    },
  };
}

const SESSION = "votenet/booth";
const VOTE = "votenet/vote";
const KEY = "votenet/key";

/**
 * The session of this tab, and what outlives it: signed votes, so that a retry sends the same bytes, and the keys of
 * an open election. A kiosk has no shelf that outlives the tab.
 */
export class Store {
  constructor(
    private readonly tab: Shelf,
    private readonly device: Shelf | null,
  ) {}

  session(): string | null {
    return this.tab.get(SESSION);
  }

  keepSession(text: string): void {
    this.tab.put(SESSION, text);
  }

  /** The vote record that a key has signed. */
  signedVote(network: string, key: string): string | null {
    const name = `${VOTE}/${network}/${key}`;
    return this.device?.get(name) ?? this.tab.get(name);
  }

  keepSignedVote(network: string, key: string, record: string): void {
    (this.device ?? this.tab).put(`${VOTE}/${network}/${key}`, record);
  }

  /** A vote that was refused for good. */
  dropSignedVote(network: string, key: string): void {
    (this.device ?? this.tab).drop(`${VOTE}/${network}/${key}`);
  }

  /** The seed of a voter of an open election, in hexadecimal. */
  seed(network: string, voterId: string): string | null {
    return (this.device ?? this.tab).get(`${KEY}/${network}/${voterId}`);
  }

  keepSeed(network: string, voterId: string, seed: string): void {
    (this.device ?? this.tab).put(`${KEY}/${network}/${voterId}`, seed);
  }

  /** Forgets who votes and how; keeps the seeds of an open election and signed votes. */
  forget(): void {
    this.tab.drop(SESSION);
  }
}

/** Empties everything that this page may have kept, for the next person at a kiosk. */
export function wipe(): void {
  for (const storage of [() => sessionStorage, () => localStorage]) {
    try {
      storage().clear();
    } catch {
      // a browser without it keeps nothing
    }
  }
}
