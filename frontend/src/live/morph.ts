/** Makes a part of a page like a newer one, and keeps every element that is still there. */

/** Attributes that belong to the reader. */
const KEPT: Record<string, string> = { DETAILS: "open" };

/**
 * Makes the content of `now` that of `fresh`. Focus, open details, scroll positions and the place of a screen reader
 * stay where they are.
 */
export function morph(now: Element, fresh: Element): void {
  const focused = now.ownerDocument.activeElement;
  morphChildren(now, fresh);
  if (!(focused instanceof HTMLElement) || focused === now.ownerDocument.activeElement) return;
  const next = focused.isConnected ? focused : now;
  if (next instanceof HTMLElement) next.focus({ preventScroll: true });
}

function morphChildren(now: Element, fresh: Element): void {
  const keyed = new Map([...now.children].filter(({ id }) => id !== "").map((each) => [each.id, each]));
  let at: ChildNode | null = now.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known: ChildNode | null = keyed.get((wanted as Partial<Element>).id ?? "") ?? at;
    if (known === null || !alike(known, wanted)) {
      now.insertBefore(now.ownerDocument.importNode(wanted, true), at);
      continue;
    }
    if (known === at) at = at.nextSibling;
    else now.insertBefore(known, at);
    morphNode(known, wanted);
  }
  while (at !== null) {
    const next: ChildNode | null = at.nextSibling;
    at.remove();
    at = next;
  }
}

/** Whether one node can become the other. */
function alike(now: Node, wanted: Node): boolean {
  if (now.nodeType !== wanted.nodeType || now.nodeName !== wanted.nodeName) return false;
  return (now as Partial<Element>).id === (wanted as Partial<Element>).id;
}

function morphNode(now: Node, wanted: Node): void {
  if (now.isEqualNode(wanted)) return;
  if (now.nodeType !== now.ELEMENT_NODE) {
    now.nodeValue = wanted.nodeValue;
    return;
  }
  const [old, made] = [now as Element, wanted as Element];
  const kept = KEPT[old.nodeName] ?? "";
  for (const { name } of [...old.attributes]) {
    if (name !== kept && !made.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...made.attributes]) {
    if (name !== kept && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morphChildren(old, made);
}
