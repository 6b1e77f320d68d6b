/**
 * Builds the files that browsers get, byte for byte the same from the same sources and lock file.
 *
 * `src/verify/` becomes verify.html and `src/trustee/` trustee.html; every other `src/NAME/main.ts` becomes NAME.js, the
 * booth one file for each language, and the worker a file of its own.
 *
 *     node build.mjs            writes them
 *     node build.mjs --check    ends with 1 if those that are there are others
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const STATIC = join(here, "../src/votenet/web/static");
const MOST_BYTES = 60 * 1024; // of a page, gzipped
/** Pages that are one file for a disk, and how many bytes each has at most, gzipped. */
const OFFLINE = { verify: MOST_BYTES, trustee: 100 * 1024 };
const LANGUAGES = ["en", "id"];
/** A file of its own, because only the booths of elections with secret ballots load it. */
const WORKER = ["secret_worker.js", "src/secret/secret_worker.ts"];

const read = (path) => readFileSync(join(here, path), "utf8");
const hashOf = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** A style that a script imports is a text to it. */
const stylesAsText = {
  name: "styles-as-text",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, "utf8"), { loader: "css", minify: true });
      return { contents: code, loader: "text" };
    });
  },
};

/** Leaves out the sentences of other languages: a page has one. */
const inLanguage = (language) => ({
  name: "in-language",
  setup({ onLoad }) {
    onLoad({ filter: /catalogue\/\w+\.\w+\.json$/ }, ({ path }) =>
      path.endsWith(`.${language}.json`) ? undefined : { contents: "{}", loader: "json" },
    );
  },
});

/** The text of a bundle; `packages` gets the names of the packages that are in it. */
async function bundle(entry, packages, plugins = []) {
  const made = await build({
    entryPoints: [join(here, entry)],
    absWorkingDir: here,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "iife",
    target: ["chrome103", "firefox115", "safari16.4"],
    charset: "utf8",
    legalComments: "none",
    plugins,
  });
  for (const input of Object.keys(made.metafile.inputs)) {
    const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (name !== undefined) packages.add(name);
  }
  return made.outputFiles[0].text.trim();
}

/** The licences of packages. */
function licences(packages) {
  const texts = [...packages].sort().map((name) => {
    const { version } = JSON.parse(read(`node_modules/${name}/package.json`));
    return `${name} ${version}\n\n${read(`node_modules/${name}/LICENSE`).trim()}\n`;
  });
  return texts.join("\n\n");
}

/** One file that works from a disk: everything inline, and a policy that forbids all else. */
async function offlinePage(name, allPackages) {
  // A script in a page must not hold what ends it.
  const packages = new Set();
  const script = (await bundle(`src/${name}/main.ts`, packages))
    .replaceAll("</script", "<\\/script")
    .replaceAll("<!--", "<\\!--");
  const style = (await bundle(`src/${name}/${name}.css`, packages)).trim();
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  const parts = { licences: licences(packages).trim(), policy, style, script };
  let page = read(`src/${name}/${name}.html`);
  for (const [place, text] of Object.entries(parts)) {
    const [before, behind, ...more] = page.split(`{${place}}`);
    if (behind === undefined || more.length > 0) throw new Error(`${name}.html has not one place for the ${place}`);
    page = before + text + behind;
  }
  for (const each of packages) allPackages.add(each);
  return page;
}

/** All files by name. */
async function everything() {
  const packages = new Set();
  const made = {};
  for (const name of Object.keys(OFFLINE)) made[`${name}.html`] = await offlinePage(name, packages);
  for (const name of readdirSync(join(here, "src")).sort()) {
    if (name in OFFLINE || !existsSync(join(here, "src", name, "main.ts"))) continue;
    const languages = name === "booth" ? LANGUAGES : [null];
    for (const language of languages) {
      const plugins = language === null ? [stylesAsText] : [stylesAsText, inLanguage(language)];
      const file = language === null ? `${name}.js` : `${name}.${language}.js`;
      made[file] = await bundle(`src/${name}/main.ts`, packages, plugins);
    }
  }
  const [worker, entry] = WORKER;
  made[worker] = await bundle(entry, packages);
  return { ...made, "LICENSES.txt": licences(packages) };
}

/** How many bytes a text has, gzipped; it says so, and stops the build at those that are too many. */
function checkSize(name, text) {
  const gzipped = gzipSync(text, { level: 9 }).length;
  console.log(`${name}: ${text.length} characters, ${gzipped} bytes gzipped`);
  const most = OFFLINE[name.replace(/\.html$/, "")] ?? MOST_BYTES;
  if (gzipped > most) throw new Error(`${name} has more than ${most} bytes gzipped`);
}

async function writeAll(check) {
  for (const [name, text] of Object.entries(await everything())) {
    const path = join(STATIC, name);
    checkSize(name, text);
    if (!check) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    } else if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
      console.error(`${path} is not what the sources give: npm run build`);
      process.exitCode = 1;
    }
  }
}

await writeAll(process.argv[2] === "--check");
