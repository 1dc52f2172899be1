import { fileURLToPath } from "node:url";
import { parse } from "@formatjs/icu-messageformat-parser";
import { defineConfig, type Plugin } from "vite";
import solid from "vite-plugin-solid";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Compiles the ICU messages of each catalogue, so that the page carries no parser and a wrong message fails the build. */
function catalogues(): Plugin {
  return {
    name: "tandem-catalogues",
    enforce: "pre",
    transform(code, id) {
      if (!/\/i18n\/messages\/[a-z]+\.json$/.test(id)) return undefined;
      const messages = JSON.parse(code) as Record<string, string>;
      const compiled = Object.fromEntries(Object.entries(messages).map(([key, text]) => [key, parse(text)]));
      return { code: JSON.stringify(compiled), map: null };
    },
  };
}

export default defineConfig({
  plugins: [catalogues(), solid()],
  resolve: {
    alias: {
      "@tandem/client": here("../../../clients/typescript/src/index.ts"),
      "@formatjs/icu-messageformat-parser": "@formatjs/icu-messageformat-parser/no-parser.js",
      "openapi-fetch": here("node_modules/openapi-fetch"),
    },
  },
  build: {
    target: "es2022",
    outDir: process.env.DASHBOARD_OUT ?? here("../src/metrics_worker/dashboard/built"),
    emptyOutDir: true,
    // The page's policy allows no data: addresses for scripts and styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
});
