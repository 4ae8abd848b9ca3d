# What was built, and so how its web process is started.
shopt -s nullglob

web_command() {
  local jar
  jar=$(standalone_jar)
  if [[ -n $jar ]]; then
    echo "java \$JVM_OPTS -jar $jar"
  elif [[ -f project.clj ]]; then
    echo "lein with-profile production trampoline run"
  elif grep -q -E '(^|[^a-z]):run[[:space:]{]' deps.edn 2>/dev/null; then
    echo "clojure -M:run"
  fi
}

# The program with all its libraries: what project.clj calls it, or the largest that can be started. Names that
# a shell would read otherwise are nobody's.
standalone_jar() {
  local name jar
  name=$(uberjar_name)
  if [[ -f project.clj && -z $name ]]; then return 0; fi
  while read -r jar; do
    if [[ -n $name && ${jar##*/} != "$name" ]]; then continue; fi
    if unzip -p "$jar" META-INF/MANIFEST.MF 2>/dev/null | grep -q '^Main-Class: '; then
      echo "$jar"
      return 0
    fi
  done < <(find target -maxdepth 2 -name '*.jar' -printf '%s %p\n' 2>/dev/null | sort -nr | cut -d ' ' -f 2- | grep -E '^[A-Za-z0-9._+/-]+$')
}

uberjar_name() { sed -n 's/^[^;]*:uberjar-name[[:space:]]*"\([^"]*\)".*/\1/p' project.clj 2>/dev/null | head -n 1; }
