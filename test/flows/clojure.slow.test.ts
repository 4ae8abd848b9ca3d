import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { ensurePrograms } from "../helpers/debian-programs.ts";
import { expectLanguageFlow } from "../helpers/language-flow.ts";
import { startStator, type StatorServer } from "../helpers/stator-server.ts";

setDefaultTimeout(400_000);
let stator: StatorServer;
beforeAll(async () => {
  await ensurePrograms({ javac: "openjdk-17-jdk-headless", lein: "leiningen" });
  stator = await startStator();
});
afterAll(() => stator.stop());

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
    ...leiningen,
    says: "-----> Running: lein with-profile production compile :all\n",
    prepare: async (made) => {
      const project = await Bun.file(`${made.folder}/project.clj`).text();
      made.write({ "project.clj": project.replace(/ *:uberjar-name .*\n/, "  :aot :all\n") });
      await made.commit("No uberjar");
    },
  });
  expect(await app.logs()).not.toContain("Retrieving");
});
