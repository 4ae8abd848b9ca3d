#!/bin/sh
# Installs what is missing and runs everything: `npm test`. Its last line is `N passed, N failed`.
#
#   sh test/run.sh            types, format, lint, dead code, and all tests
#   sh test/run.sh --quick    without the files *.slow.test.ts
#   sh test/run.sh --check    without the tests
#   sh test/run.sh PATTERN…   only the test files whose path has one of the words in it
set -eu
cd -- "$(dirname -- "$0")/.."

checks='types format lint dead-code'
tests=yes
quick=
case ${1:-} in
  --quick)
    quick=yes
    shift
    ;;
  --check)
    tests=
    shift
    ;;
  --*)
    printf ' ▸    %s is unknown: --quick, --check, or words in the paths of test files\n' "$1" >&2
    exit 2
    ;;
  '') ;;
  *) checks= ;;
esac

sh install.sh deps
PATH=$PWD/node_modules/.bin:$PATH
export PATH

# Builds inside containers need the certificate authority that this shell has been given.
bundle=${STATOR_BUILD_CA_BUNDLE:-${SSL_CERT_FILE:-${NODE_EXTRA_CA_CERTS:-}}}
case $bundle in
  /*) [ ! -f "$bundle" ] || [ ! -r "$bundle" ] || export STATOR_BUILD_CA_BUNDLE="$bundle" ;;
esac

# All temporary files of the tests are in here; some belong to other users.
work=$(mktemp -d "${TMPDIR:-/tmp}/stator-test.XXXXXX")
chmod 1777 "$work"
TMPDIR=$work
export TMPDIR

# A test that was interrupted, or has crashed, could not stop its servers, nor remove its networks.
finish() {
  trap '' INT TERM HUP
  [ -z "$tests" ] || bun test/helpers/sweep-leftovers.ts "$work"
  rm -rf -- "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

passed=0
failed=0
: >"$work/failures"

for check in $checks; do
  if bun run --silent "check:$check" >"$work/check" 2>&1; then
    passed=$((passed + 1))
    printf '(pass) check: %s\n' "$check"
  else
    failed=$((failed + 1))
    cat "$work/check"
    printf '(fail) check: %s\n' "$check"
  fi
done

# The lines with one of the words.
having() {
  for word; do
    set -- "$@" -e "$word"
    shift
  done
  grep -F "$@" || :
}

# Runs files of tests: `run_tests REPORT OPTION… FILE…`.
run_tests() {
  report=$work/$1
  shift
  # Only what hangs may be failed by time: the one limit is far above what a slow machine takes.
  {
    status=0
    bun test --timeout=1200000 --reporter=junit --reporter-outfile="$report" "$@" || status=$?
    echo "$status" >"$report.status"
  } 2>&1 | tee "$report.said"
  status=$(cat "$report.status")
  failures <"$report.said" >>"$work/failures"
  of_tests=0
  if [ -s "$report" ]; then
    of_tests=$(reported failures)
    passed=$((passed + $(reported tests) - of_tests - $(reported skipped)))
  fi
  # A run that crashed, or failed outside of its tests, is one failure more.
  if [ "$status" -ne 0 ] && [ "$of_tests" -eq 0 ]; then of_tests=1; fi
  failed=$((failed + of_tests))
}

# What was said of each test that failed: the end of a long output is often all that is kept of it.
failures() {
  tr -d '\000' | awk '
    function start_anew(failed) {
      if (failed || said ~ /# Unhandled error/) printf "\n%s\n%s", file, said
      said = ""
    }
    /^test\/.*:$/ { start_anew(0); file = $0; next }
    /^\((pass|skip|todo)\) / { start_anew(0); next }
    /^\(fail\) / { said = said $0 "\n"; start_anew(1); next }
    /^[0-9]+ tests? failed:$/ { exit }
    length(said) < 8000 { said = said $0 "\n" }
    END { start_anew(0) }'
}

# An attribute of the report's outermost element.
reported() {
  sed -n "s/.*<testsuites [^>]*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$report" | head -n 1
}

# These take the whole machine, or change it for everybody: they wait until the others have ended.
alone='flows/bad-neighbours flows/limits flows/log-flood flows/log-tails logs/crash
  router/crowds router/http2.slow runtime/network-walls'

if [ -n "$tests" ]; then
  files=$(find test -path test/fixtures -prune -o -name '*.test.ts' -print | sort)
  [ -z "$quick" ] || files=$(printf '%s\n' "$files" | grep -v '\.slow\.test\.ts$')
  [ $# -eq 0 ] || files=$(printf '%s\n' "$files" | having "$@")
  # shellcheck disable=SC2086 # words, and paths that have no blanks
  lonely=$(printf '%s\n' "$files" | having $alone)
  others=$(printf '%s\n' "$files" | grep -vxF -e "$lonely" || :)
  if [ -z "$files" ]; then
    printf ' ▸    no file of tests has %s in its path\n' "$*" >&2
    failed=$((failed + 1))
  fi
  # Most of a test's time is waiting: one file more at a time than there are processors.
  # shellcheck disable=SC2086
  [ -z "$others" ] || run_tests others.xml --parallel="$(($(nproc) + 1))" --no-isolate $others
  # shellcheck disable=SC2086
  [ -z "$lonely" ] || run_tests lonely.xml $lonely
fi

cat "$work/failures"
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
