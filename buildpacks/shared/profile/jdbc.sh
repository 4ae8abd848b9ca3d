# Sourced when a dyno starts: Java wants the address of a database otherwise than DATABASE_URL says it.

# plain TEXT: without the %XX of an address.
plain() {
  local text=${1//\\/\\\\}
  printf '%b' "${text//%/\\x}"
}

# export_jdbc ADDRESS PREFIX: sets PREFIX_URL, PREFIX_USERNAME and PREFIX_PASSWORD, where the first is not set yet.
export_jdbc() {
  local address=$1 prefix=$2 scheme rest authority database query user password jdbc=${2}_URL
  [ -z "${!jdbc-}" ] || return 0
  case "$address" in
    postgres://* | postgresql://*) scheme=postgresql ;;
    mysql://* | mysql2://*) scheme=mysql ;;
    *) return 0 ;;
  esac
  rest=${address#*://}
  authority=${rest%%/*}
  database=${rest#"$authority"}
  query=
  case "$database" in *\?*) query="&${database#*\?}" database=${database%%\?*} ;; esac
  case "$authority" in
    *@*)
      user=${authority%@*}
      password=
      case "$user" in *:*) password=${user#*:} user=${user%%:*} ;; esac
      # In a query a plus is a space.
      query="user=${user//+/%2B}&password=${password//+/%2B}$query"
      export "${prefix}_USERNAME=$(plain "$user")" "${prefix}_PASSWORD=$(plain "$password")"
      ;;
    *) query=${query#&} ;;
  esac
  export "${prefix}_URL=jdbc:$scheme://${authority##*@}$database${query:+?$query}"
}

export_jdbc "${DATABASE_URL:-${JAWSDB_URL:-${CLEARDB_DATABASE_URL-}}}" JDBC_DATABASE
for name in ${!HEROKU_POSTGRESQL_@}; do
  case "$name" in *_URL) export_jdbc "${!name}" "${name%_URL}_JDBC" ;; esac
done
# All three or none: the app's own address must not get somebody else's password.
if [ "${DISABLE_SPRING_DATASOURCE_URL-}" != true ] && [ -z "${SPRING_DATASOURCE_URL-}" ]; then
  for name in URL USERNAME PASSWORD; do
    jdbc=JDBC_DATABASE_$name
    if [ -n "${!jdbc-}" ]; then export "SPRING_DATASOURCE_$name=${!jdbc}"; fi
  done
  unset jdbc
fi
unset name
unset -f plain export_jdbc
