import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { packClojureCli } from "../helpers/clojure-cli.ts";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { expectLanguageFlow } from "../helpers/language-flow.ts";
import { type OutsideServer, startOutsideServer } from "../helpers/outside-server.ts";
import { offerOutside } from "../helpers/outside-tool.ts";
import { startStator, type StatorServer } from "../helpers/stator-server.ts";

let stator: StatorServer;
let outside: OutsideServer;
beforeAll(async () => {
  await ensurePrograms({ javac: "openjdk-17-jdk-headless", lein: "leiningen", mvn: "maven" });
  outside = await startOutsideServer();
  stator = await startStator({
    variables: { STATOR_CLOJURE_MIRROR: `${outside.address}/clojure` },
  });
});
afterAll(async () => {
  await stator.stop();
  await outside.stop();
});

const leiningen = {
  title: "Clojure",
  cached: "Using ~/.m2 of earlier builds from the cache",
  broken: {
    files: { "src/hello/core.clj": "(ns hello.core (:gen-class))\n(defn -main [& _] (nowhere))\n" },
    message: "Leiningen could not build the app",
  },
};

test("an app with an uberjar is pushed and answers, again from a warm cache, and a broken change takes nothing", async () => {
  const says = "-----> Running: lein uberjar\n";
  await expectLanguageFlow(stator, "clojure-lein", { ...leiningen, says });
});

test("an app without an uberjar is run by Leiningen, with the libraries of its slug", async () => {
  const app = await expectLanguageFlow(stator, "clojure-lein", {
    ...{ ...leiningen, once: true },
    says: "-----> Running: lein with-profile production compile :all\n",
    prepare: async (made) => {
      const project = await Bun.file(`${made.folder}/project.clj`).text();
      made.write({ "project.clj": project.replace(/ *:uberjar-name .*\n/, "  :aot :all\n") });
      await made.commit("No uberjar");
    },
  });
  expect(await app.logs()).not.toContain("Retrieving");
});

test("an app of tools.deps is run by the Clojure CLI, with the libraries of its slug", async () => {
  mkdirSync(outside.path("pack"));
  const archive = await packClojureCli(outside.path("pack"));
  offerOutside(
    { buildpacks: `${stator.dataDir}/buildpacks`, outside },
    { buildpack: "clojure", name: "clojure", version: "1.0", archive },
  );
  await expectLanguageFlow(stator, "clojure-deps", {
    ...leiningen,
    says: "-----> Fetching the dependencies\n",
    broken: {
      files: { "deps.edn": '{:deps {org.clojure/nothing {:mvn/version "0"}}}' },
      message: "The Clojure CLI could not build the app",
    },
  });
});
