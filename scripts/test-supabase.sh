#!/usr/bin/env bash
# Runs suites over a genuine Supabase: the one that `supabase start` brings up on this machine (Postgres, PostgREST, Auth and what stands
# in front of them), at the version of the CLI that supabase/tools pins. Takes it down in the end, with its data.
# usage: test-supabase.sh [WORD...]    the tests whose names hold one of the words; without words, all that can be run so
#
# A suite wants a database for each stack, and a Supabase has one. So each test is run by itself, and before it everything in the
# schemas public and billing_ops is dropped and the migrations are applied anew: never to a database that was not started here.
#
# Needs Docker, node and npm, psql and cargo, and the ports 54321 and 54322.

# shellcheck source=lib/cluster.sh
. "$(dirname "$0")/lib/cluster.sh"
need docker docker.io
need npm nodejs
need psql postgresql-client
cd "$repo_root"

# The suites that boot a stack over the table of an empty project. Of the rest, tests/engine, tests/contract, tests/shape, the units and
# the simulators' own tests use no Supabase; devstack/tests is about the local stand-ins; supabase/tests makes databases of its own, as
# owner of the server; the dashboard's read mails from, and cause faults in, the gateway of the local stack.
suites=(smoke api concurrency faults apps)

# left_out SUITE TEST: whether it cannot be run here, which says nothing against the test or Supabase. A new test of one of these kinds
# fails here until it is named.
left_out() {
  case "$1 $2" in
    # Beside an app, whose schema would have to be there before the migrations: devstack refuses that over another Supabase.
    # The one of tests/apps/odd_rows.rs that is not changes a role's settings, which Supabase keeps to itself.
    *::vercel | *::better_auth | "apps adopting::"* | "apps classes::basejump_"* | "apps classes::saas_starter_"* | "apps odd_rows::"*) ;;
    # They ask the gateway of the local stack for faults, or for what was called; at Supabase nobody answers that.
    "api canaries::"* | "api heartbeat::"* | "api round_trips::"* | "faults database::"*) ;;
    "api events::events_of_another_kind_"* | "api events::what_stripe_has_not_signed_"*) ;;
    "api events::without_a_secret_or_a_database_"* | "concurrency crash::promise_3_a_killed_process_"*) ;;
    "api limits::a_start_that_is_sent_again_"* | "api limits::wrong_machine_credentials_"*) ;;
    *) return 1 ;;
  esac
}

tools="$repo_root/supabase/tools"
# As in lint-sql.sh.
[ -x "$tools/node_modules/.bin/supabase" ] ||
  npm install --prefix "$tools" --no-save --no-audit --no-fund --loglevel=error

# Before Supabase is there, so that nothing waits for a build.
make --silent dashboard
cargo build --workspace --quiet
# With the workspace, as the Makefile says: other features would be another build.
run_suite() { cargo test --workspace --quiet --test "$1" -- "${@:2}"; }
tests=()
for suite in "${suites[@]}"; do
  listed="$(run_suite "$suite" --list --format terse | sed -n 's/: test$//p')"
  [ -n "$listed" ] || die "tests/$suite has no tests"
  while read -r name; do
    if [ $# -eq 0 ] || grep -qF -f <(printf '%s\n' "$@") <<<"$suite $name"; then
      left_out "$suite" "$name" || tests+=("$suite $name")
    fi
  done <<<"$listed"
done
[ ${#tests[@]} -gt 0 ] || die "no test that can be run here holds one of: $*"

work="$(mktemp -d)"
mkdir "$work/supabase"
ln -s "$repo_root/supabase/migrations" "$work/supabase/migrations"
# Each stack signs two people in, and all from one address: the limit is 30 in five minutes. The rest is as the CLI has it.
cat >"$work/supabase/config.toml" <<'EOF'
project_id = "billing-ops-tests"
[auth.rate_limit]
sign_in_sign_ups = 100000
EOF
cli() { "$tools/node_modules/.bin/supabase" "$@" --workdir "$work" --agent no; }
take_down() {
  cli stop --no-backup >/dev/null || echo "$(basename "$0"): supabase stop failed: docker ps shows what is left" >&2
  rm -rf "$work"
}
trap take_down EXIT
# It applies the migrations as it does on anybody's desk. What is left out has no part in the tests.
cli start --exclude realtime,storage-api,imgproxy,mailpit,postgres-meta,studio,edge-runtime,logflare,vector,supavisor
eval "$(cli status -o env)"
case "${DB_URL:-}" in
  *@127.0.0.1:* | *@localhost:*) ;;
  *) die "the database is not on this machine: ${DB_URL:-none}" ;;
esac
lists_all() {
  diff <(cd supabase/migrations && ls -- *.sql | sed 's/_.*//') \
    <(psql "$DB_URL" -Atc 'select version from supabase_migrations.schema_migrations order by 1')
}
lists_all || die "supabase start did not apply every migration"
psql "$DB_URL" -Atc "select 'Over Postgres ' || current_setting('server_version')"
cli services 2>/dev/null | grep postgrest || true
export SUPABASE_URL="$API_URL" SUPABASE_SECRET_KEY="$SECRET_KEY" SUPABASE_PUBLISHABLE_KEY="$PUBLISHABLE_KEY" DATABASE_URL="$DB_URL"

resets=0
# As `supabase db reset`, without another start of every container. The schema public itself stays, with the rights that Supabase gives
# on what is made in it.
reset() {
  resets=$((resets + 1))
  psql "$DB_URL" -q -v ON_ERROR_STOP=1 -1 >/dev/null <<'EOF'
do $$
declare
  v_drop text;
begin
  drop schema if exists billing_ops cascade;
  loop
    -- Sequences last: those of a column go with their table.
    select 'drop ' || case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end || ' ' || c.oid::regclass || ' cascade'
    into v_drop
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'S')
    order by c.relkind = 'S'
    limit 1;
    exit when not found;
    execute v_drop;
  end loop;
  loop
    select 'drop routine ' || p.oid::regprocedure || ' cascade' into v_drop
    from pg_proc p where p.pronamespace = 'public'::regnamespace limit 1;
    exit when not found;
    execute v_drop;
  end loop;
end
$$;
EOF
  apply_migrations "$DB_URL"
  # PostgREST reads the catalog when it is told to, and says nothing when it has. It has once it knows the last thing that was made.
  psql "$DB_URL" -q -v ON_ERROR_STOP=1 -c "create function public.reset_$resets() returns integer language sql set search_path = '' return 1" \
    -c "revoke execute on function public.reset_$resets() from public, anon, authenticated" \
    -c "grant execute on function public.reset_$resets() to service_role" -c "notify pgrst, 'reload schema'"
  local try
  for try in $(seq 150); do
    if curl --fail --silent --output /dev/null --max-time 10 -X POST -H "apikey: $SECRET_KEY" -H 'content-type: application/json' \
      -d '{}' "$API_URL/rest/v1/rpc/reset_$resets"; then
      return
    fi
    sleep 0.2
  done
  die "PostgREST does not see what was made $try tries ago"
}

failed=()
for one in "${tests[@]}"; do
  read -r suite name <<<"$one"
  reset
  if run_suite "$suite" --exact "$name" --nocapture >"$work/out" 2>&1; then
    # Some say so themselves where another Supabase keeps something from them.
    grep -h -o 'NOT TESTED: .*' "$work/out" | sed "s/^/        /" || true
    echo "ok      $suite $name"
  else
    echo "FAILED  $suite $name"
    cat "$work/out"
    failed+=("$one")
  fi
done
echo "${#tests[@]} tests over Supabase, ${#failed[@]} failed in $SECONDS s"
[ ${#failed[@]} -eq 0 ] || { printf '  %s\n' "${failed[@]}"; exit 1; }
