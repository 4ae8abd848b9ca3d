/** What the built-in buildpacks of the namespace `heroku` are for, in the order in which they are asked (contract §5). */
export const builtInBuildpackSubjects = {
  ruby: "Ruby: Rails, Rack, Bundler",
  php: "PHP: Composer, Apache or nginx",
  nodejs: "Node.js: npm, Yarn, pnpm",
  clojure: "Clojure: Leiningen, the Clojure CLI",
  python: "Python: pip, Pipenv, Poetry, uv",
  java: "Java: Maven, Gradle",
  scala: "Scala: sbt",
  go: "Go: modules",
  static: "Static sites: files, served by nginx",
};
