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

# A test that was interrupted, or has crashed, could not stop its servers.
finish() {
  trap '' INT TERM HUP
  for folder in "$work"/stator-flow-*; do
    if [ -e "$folder" ]; then
      bun test/helpers/sweep-servers.ts "$work"
      break
    fi
  done
  rm -rf -- "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

passed=0
failed=0

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

# Sums the attributes of the report's outermost element.
reported() {
  sed -n "s/.*<testsuites [^>]*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$work/report.xml" | head -n 1
}

if [ -n "$tests" ]; then
  status=0
  # Most of a test's time is waiting: one file more at a time than there are processors. None may be
  # failed by a limit of time that only a machine with nothing else to do keeps.
  bun test --parallel="$(($(nproc) + 1))" --no-isolate --timeout=60000 ${quick:+--path-ignore-patterns='**/*.slow.test.ts'} \
    --path-ignore-patterns='test/fixtures/**' \
    --reporter=junit --reporter-outfile="$work/report.xml" "$@" || status=$?
  of_tests=0
  if [ -s "$work/report.xml" ]; then
    of_tests=$(reported failures)
    passed=$((passed + $(reported tests) - of_tests - $(reported skipped)))
  fi
  # A run that crashed, or failed outside of its tests, is one failure more.
  if [ "$status" -ne 0 ] && [ "$of_tests" -eq 0 ]; then of_tests=1; fi
  failed=$((failed + of_tests))
fi

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
