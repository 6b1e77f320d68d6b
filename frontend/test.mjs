/** Bundles the tests and runs them with Node's own runner. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
/** A test that waits for what never comes is ended. */
const TEST_MS = 900_000;
const wanted = process.argv.slice(2);
const tests = readdirSync(join(here, "test"))
  .filter((name) => name.endsWith(".test.ts"))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const folder = mkdtempSync(join(tmpdir(), "votenet-frontend-"));
const python = process.env.VOTENET_PYTHON ?? join(here, "../.venv/bin/python");
const pythonEnv = { ...process.env, PYTHONPATH: join(here, "../tests") };
const env = { ...process.env, VOTENET_CORPUS: process.env.VOTENET_CORPUS ?? madeCorpus() };
if (existsSync(python)) env.VOTENET_PYTHON = python;
if (env.VOTENET_CORPUS === undefined) delete env.VOTENET_CORPUS;

/** A fresh corpus; undefined without the project's Python, and then the tests that need it are skipped. */
function madeCorpus() {
  if (!existsSync(python)) return undefined;
  const made = join(folder, "corpus");
  const run = spawnSync(python, ["-m", "web.make_corpus", made], {
    env: pythonEnv,
    stdio: ["ignore", "inherit", "pipe"],
  });
  if (run.status !== 0) throw new Error(`no corpus: ${run.stderr}`);
  return made;
}

try {
  await build({
    entryPoints: tests.map((name) => join(here, "test", name)),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    outdir: join(folder, "tests"),
    outExtension: { ".js": ".mjs" },
    sourcemap: "inline",
    loader: { ".html": "text", ".css": "text" },
    define: { "process.env.FRONTEND": JSON.stringify(here) },
  });
  const files = readdirSync(join(folder, "tests")).map((name) => join(folder, "tests", name));
  const run = spawnSync(
    process.execPath,
    ["--enable-source-maps", "--test", "--test-concurrency=2", `--test-timeout=${TEST_MS}`, ...files],
    {
      env,
      stdio: "inherit",
    },
  );
  process.exitCode = run.status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
