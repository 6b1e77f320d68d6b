/** trustee.html. */
import { TrusteePage } from "./page.ts";
import { preferred } from "./words.ts";

new TrusteePage(document.getElementById("page")!, preferred(navigator.languages));
