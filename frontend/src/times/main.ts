/** Adds local times to a page that does not change by itself. */
import { addLocalTimes } from "../page/local_times.ts";

addLocalTimes(document);
