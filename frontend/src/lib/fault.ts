/** The first fault of a file: one code of docs/audit.md, and where it is. */
export class Fault extends Error {
  constructor(
    readonly code: string,
    readonly where: string,
  ) {
    super(`${code}: ${where}`);
    this.name = "Fault";
  }
}

/** Throws a `Fault` unless `condition` is true. */
export function demand(condition: boolean, code: string, where: string): asserts condition {
  if (!condition) throw new Fault(code, where);
}
