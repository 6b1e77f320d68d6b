/** The server's clock: that of a phone may be hours wrong, and a vote from the future is refused. */
export class Clock {
  /** Milliseconds that the server's clock is ahead of this device's. */
  private ahead = 0;

  /** Takes the `Date` header of an answer to a question that was sent at `sent`, in ms of this device. */
  heard(date: string | null, sent: number): void {
    const server = date === null ? Number.NaN : Date.parse(date);
    if (!Number.isNaN(server)) this.set(server, sent);
  }

  /** Takes the server's Unix seconds out of an event. */
  heardSeconds(at: number): void {
    if (Number.isFinite(at)) this.set(at * 1000, Date.now());
  }

  private set(server: number, sent: number): void {
    const now = Date.now();
    // The header has whole seconds, and the answer took its way: a small difference is none.
    const middle = (sent + now) / 2;
    const ahead = server - middle;
    this.ahead = Math.abs(ahead) < 2000 + (now - sent) ? 0 : ahead;
  }

  /** Unix seconds. */
  now(): number {
    return Math.floor((Date.now() + this.ahead) / 1000);
  }
}
