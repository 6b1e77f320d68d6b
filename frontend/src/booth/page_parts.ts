/** What the booth and the enrolment do with the browser in the same way. */

/** The code in the link of a card. It leaves the address bar and the history before anything else happens. */
export function takenCode(): string | null {
  const { hash, pathname, search } = location;
  if (hash.length < 2 || document.getElementById(hash.slice(1)) !== null) return null; // a place on this page
  history.replaceState(history.state, "", pathname + search);
  try {
    return decodeURIComponent(hash.slice(1));
  } catch {
    return hash.slice(1);
  }
}

/** Adds a style; a policy without inline styles allows it. */
export function useStyle(text: string): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}

/** Hands a file to the browser to keep. */
export function keepFile(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
