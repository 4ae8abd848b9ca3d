# What kind of program was built, and so how its web process is started.
shopt -s nullglob

web_command() {
  local file
  for file in {target,build}/quarkus-app/quarkus-run.jar; do
    if [[ -f $file ]]; then
      echo "java -Dquarkus.http.port=\$PORT \$JAVA_OPTS -jar $file"
      return 0
    fi
  done
  # The largest is the one with all libraries; names that a shell would read otherwise are nobody's.
  while read -r file; do
    case $(started_by "$file") in
      spring) echo "java -Dserver.port=\$PORT \$JAVA_OPTS -jar $file" ;;
      wildfly) echo "java -Djboss.bind.address=0.0.0.0 -Djboss.http.port=\$PORT \$JAVA_OPTS -jar $file" ;;
      micronaut) echo "java -Dmicronaut.server.port=\$PORT \$JAVA_OPTS -jar $file" ;;
      *) continue ;;
    esac
    return 0
  done < <(find target build/libs -maxdepth 1 -name '*.jar' -printf '%s %p\n' 2>/dev/null | sort -nr | cut -d ' ' -f 2- |
    grep -E '^[A-Za-z0-9._+/-]+$' | grep -v -E -- '-(plain|sources|javadoc|tests)\.jar$|original-')
  # Gradle's plugin `application` makes one start script.
  file=$(find build/install -mindepth 3 -maxdepth 3 -path '*/bin/*' -type f ! -name '*.bat' 2>/dev/null)
  if [[ $file =~ ^[A-Za-z0-9._+/-]+$ ]]; then echo "$file"; fi
}

# started_by JAR: the framework whose program the file is.
started_by() {
  if unzip -p "$1" META-INF/MANIFEST.MF 2>/dev/null | grep -q '^Main-Class: org\.springframework\.boot\.loader'; then
    echo spring
  elif unzip -p "$1" META-INF/MANIFEST.MF 2>/dev/null | grep -q '^Main-Class: org\.wildfly\.core\.jar'; then
    echo wildfly
  elif unzip -l "$1" 2>/dev/null | grep -q ' io/micronaut/runtime/Micronaut\.class$'; then
    echo micronaut
  fi
}
