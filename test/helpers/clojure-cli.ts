import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execOk } from "../../src/lib/exec.ts";
import { oneAtATime } from "./one-at-a-time.ts";

/**
 * Packs an archive of the shape in which the Clojure CLI is published. Its program stands for the real one,
 * which cannot be had here, and knows only `-P` and `-M:ALIAS`; the resolver that it calls is the real one.
 */
export async function packClojureCli(folder: string): Promise<string> {
  const tools = join(folder, "clojure-tools");
  mkdirSync(join(tools, "libraries"), { recursive: true });
  writeFileSync(
    join(folder, "pom.xml"),
    `<project><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>a</artifactId><version>1</version>
<dependencies><dependency><groupId>org.clojure</groupId><artifactId>tools.deps</artifactId><version>0.21.1467</version></dependency></dependencies></project>`,
  );
  const copy = "org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy-dependencies";
  const into = join(folder, "libraries");
  await execOk(oneAtATime("mvn", "-q", "-B", copy, `-DoutputDirectory=${into}`), { cwd: folder });
  cpSync(join(into), join(tools, "libraries"), { recursive: true });
  // One archive of all libraries.
  const merge = `import glob,sys,zipfile
seen=set()
out=zipfile.ZipFile(sys.argv[1],'w')
for path in glob.glob(sys.argv[2]+'/*.jar'):
  jar=zipfile.ZipFile(path)
  for name in jar.namelist():
    if name.endswith('/') or name.startswith('META-INF/') and not name.startswith('META-INF/sisu') and not name.startswith('META-INF/services'): continue
    if name in seen: continue
    seen.add(name); out.writestr(jar.getinfo(name), jar.read(name))`;
  await execOk(["python3", "-c", merge, join(tools, "clojure-tools-1.0.jar"), into]);
  await execOk(["rm", "-rf", join(tools, "libraries")]);
  for (const name of ["deps.edn", "example-deps.edn", "tools.edn"])
    writeFileSync(join(tools, name), "{}\n");
  writeFileSync(join(tools, "exec.jar"), "");
  writeFileSync(join(tools, "clojure"), program, { mode: 0o755 });
  const archive = join(folder, "clojure-tools.tar.gz");
  await execOk(["tar", "-C", folder, "-czf", archive, "clojure-tools"]);
  return archive;
}

const program = `#!/usr/bin/env bash
set -e
install_dir=PREFIX
prepare= alias=
for word in "$@"; do
  case "$word" in
    -P) prepare=1 ;;
    -M:*) alias=$word ;;
    *) echo "not known here: $word" >&2; exit 1 ;;
  esac
done
files=.cpcache/files$alias
mkdir -p .cpcache
if [[ $prepare || ! -f $files.cp ]]; then
  java -classpath "$install_dir"/libexec/clojure-tools-1.0.jar clojure.main -m clojure.tools.deps.script.make-classpath2 \\
    --config-user none --config-project deps.edn --basis-file $files.basis --cp-file $files.cp \\
    --jvm-file $files.jvm --main-file $files.main --manifest-file $files.manifest $alias
fi
[[ ! $prepare ]] || exit 0
mapfile -t main <$files.main
exec java -classpath "$(cat $files.cp)" clojure.main "\${main[@]}"
`;
