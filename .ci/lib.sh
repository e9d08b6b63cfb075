# The parts that .ci/run and .ci/heavy share: they source this file, define STEPS and a function step_NAME for each of their own,
# and call main.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
exec </dev/null

export OAUTHZ_REQUIRE_SERVICES=1 # a test whose server cannot start fails, instead of being skipped
export OAUTHZ_CI_RUN=$$-$RANDOM  # every process started below carries it: see strays
readonly root=$PWD
export GOWORK=$root/go.work
scratch=$(mktemp -d)

# --- the tree ---------------------------------------------------------------------------------------------

# files prints the files that match the patterns: what git tracks, and what it would. A clean clone has only the first kind.
files() {
  local file
  git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do
    if [[ -e $file ]]; then printf '%s\n' "$file"; fi
  done
}

# modules prints the folder of every module, "." for the root.
modules() {
  files go.mod '*/go.mod' | while IFS= read -r file; do dirname "$file"; done | sort
}

# in_each_module runs a command in every module's folder, goes on after a failure, and fails if one did.
# set -e is off in the command, as it is in whatever stands before "||".
in_each_module() {
  local dir status=0
  for dir in $(modules); do
    echo "+ ($dir) $*"
    (cd "$dir" && "$@") || status=1
  done
  return "$status"
}

# --- steps of both ----------------------------------------------------------------------------------------

# step_servers: the servers that tests start: authorization servers written for node and for ruby, Redis, PostgreSQL.
step_servers() {
  local missing=()
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then missing+=(nodejs npm); fi
  if ! ruby -e 'require "doorkeeper"; require "active_record"; require "sqlite3"; require "webrick"' >/dev/null 2>&1; then
    missing+=(ruby-doorkeeper ruby-activerecord ruby-sqlite3 ruby-webrick)
  fi
  if ! command -v redis-server >/dev/null; then missing+=(redis-server); fi
  if ! command -v initdb >/dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then missing+=(postgresql); fi
  if ((${#missing[@]})); then
    apt-get update -qq
    # In runlevel 1 no package starts its service: the tests start their own.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  fi
  node --version
  npm --version
  ruby --version
  redis-server --version
}

# step_leftovers: a test or an example that leaves a process behind is a bug.
step_leftovers() {
  local pid tries=10
  while [[ -n $(strays) ]]; do
    if ((tries-- == 0)); then
      for pid in $(strays); do
        printf 'still running: %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
      done
      return 1
    fi
    sleep 1
  done
}

# --- running them -----------------------------------------------------------------------------------------

# limit runs a command for at most so many seconds, where there is a timeout command.
limit() {
  if command -v timeout >/dev/null; then timeout "$@"; else "${@:2}"; fi
}

# strays prints the ids of the processes that this run started and that are still there. (This shell and its
# forks are not among them: what it exports is only in the environment of the programs it starts.)
strays() {
  local environs=(/proc/[0-9]*/environ)
  { grep -lszxF "OAUTHZ_CI_RUN=$OAUTHZ_CI_RUN" "${environs[@]}" || true; } | cut -d/ -f3
}

cleanup() {
  local pid
  if [[ -n $step ]]; then kill -- "-$step" 2>/dev/null || true; fi
  for pid in $(strays); do kill "$pid" 2>/dev/null || true; done
  rm -rf -- "$scratch"
}
step= # the process group of the step that runs now
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# run_step runs one step in a shell and a process group of its own, so that a signal need not wait for it. It must not be
# called where set -e is off, as it is behind "if" or "||": the step would go on after a failure.
run_step() {
  local name=$1 start=$SECONDS status
  printf '\n=== %s\n' "$name"
  set +e -m
  (
    set -e +m
    "step_$name"
  ) &
  step=$!
  wait "$step"
  status=$?
  set -e +m
  step=
  if [[ $status == 0 ]]; then
    passed+=("$name")
    printf -- '--- %s: ok (%d s)\n' "$name" $((SECONDS - start))
  else
    failed+=("$name")
    printf -- '--- %s: FAILED (%d s)\n' "$name" $((SECONDS - start))
  fi
}

main() {
  local name
  if [[ $# == 0 ]]; then set -- "${STEPS[@]}"; fi
  for name in "$@"; do
    if ! declare -F "step_$name" >/dev/null; then
      echo "no such step: $name (there are: ${STEPS[*]})" >&2
      exit 2
    fi
  done
  passed=() failed=()
  go version
  for name in "$@"; do run_step "$name"; done
  printf '\ntotal %d s' "$SECONDS"
  if [[ ${#failed[@]} != 0 ]]; then printf ', failed: %s' "${failed[*]}"; fi
  printf '\nsteps: %d passed, %d failed\n' "${#passed[@]}" "${#failed[@]}"
  [[ ${#failed[@]} == 0 ]]
}
