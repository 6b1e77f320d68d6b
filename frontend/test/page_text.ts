/** What a view shows, without a page. */
import type { TemplateResult } from "lit-html";

export type Part = string | (() => void);

/** The texts and handlers of a template, in their order. */
export function parts(value: unknown): Part[] {
  if (Array.isArray(value)) return value.flatMap(parts);
  if (typeof value === "function") return [value as () => void];
  if (typeof value === "symbol" || value === null || value === undefined) return [];
  if (typeof value !== "object") return [String(value)];
  const { strings, values } = value as TemplateResult;
  return strings.flatMap((text, at) => [text, ...parts(values[at])]);
}

export const textOf = (view: unknown): string =>
  parts(view)
    .filter((part) => typeof part === "string")
    .join("");
